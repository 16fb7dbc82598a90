"""Gradients of the loss of a stack of toy models on a batch of inputs, written out by hand.

With h = W x (or its ReLU), z = W_out h + b, x' = f(z) and g = dL/dz = 2 I f'(z) (x' - x) / batch:

    dL/db = sum g,   dL/dW_out = g h^T,   dL/dW = (W_out^T g, cut where a ReLU hid h) x^T,

and a tied model adds the transpose of dL/dW_out to dL/dW. Two lines of algebra, two to four times
as fast as autograd: no graph, and no fresh megabytes a step.
"""

import torch


class Gradients:
    """Weights of some instances, packed for training, and their gradients batch after batch.

    The bias is the weight of one more hidden unit that is always 1: as the last row of the
    decoder [instances, m + 1, n], stored as W_out^T above b. The encoder is that same tensor in a
    tied model, otherwise W above a row of zeros that never changes. Batches are feature-major,
    [instances, n, batch]: products are faster along a long last axis.
    """

    def __init__(self, model, part, importance, share, batch):
        """The instances `part` (a slice) of a ToyModel; the model itself stays as it is.

        importance : [instances of the part, n].
        share      : probability [instances of the part] that an input is of the kind the batches
                     hold; all others are empty.
        """
        self.model = model
        W, b = model.W[part], model.b[part][:, None]
        self.decoder = torch.cat([model.decoder[part].transpose(1, 2), b], 1).requires_grad_()
        self.encoder = self.decoder
        if not model.tied:
            self.encoder = torch.cat([W, torch.zeros_like(b)], 1).requires_grad_()
        self.parameters = [self.decoder] if model.tied else [self.decoder, self.encoder]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.importance, self.share = importance.to(W), share.to(W)[:, None]
        self.scale = (2 / batch * self.share * self.importance)[:, None]
        instances, rows, n = self.decoder.shape
        self.h, self.g_hidden = (W.new_empty(instances, rows, batch) for _ in range(2))
        self.out, self.g = (W.new_empty(instances, n, batch) for _ in range(2))

    def step(self, x):
        """Set the gradients for inputs x [instances, n, batch].

        They are estimates without bias: empty inputs, which the batch may lack, are added exactly.
        """
        model, encoder, decoder = self.model, self.encoder, self.decoder
        h = torch.bmm(encoder, x, out=self.h)
        if model.hidden == "relu":
            h.relu_()
        h[:, -1] = 1
        out = torch.bmm(decoder.transpose(1, 2), h, out=self.out)
        if model.output == "relu":
            out.relu_()
        g = torch.sub(out, x, out=self.g)
        if model.output == "relu":
            _cut(g, out)
        g_hidden = torch.bmm(self.scale * decoder, g, out=self.g_hidden)
        g_hidden[:, -1] = 0
        if model.hidden == "relu":
            _cut(g_hidden, h)
        torch.bmm(h, g.transpose(1, 2), out=decoder.grad).mul_(self.scale)
        self._bias_gradient(decoder.grad[:, -1])
        if model.tied:
            encoder.grad.baddbmm_(g_hidden, x.transpose(1, 2))
        else:
            torch.bmm(g_hidden, x.transpose(1, 2), out=encoder.grad)

    def _bias_gradient(self, gradient):
        """Complete the gradient by b [instances, n]: empty inputs have x = 0 and x' = f(b)."""
        if not self.model.b.requires_grad:
            gradient.zero_()
            return
        b = self.decoder[:, -1]
        at_zero = b.relu() if self.model.output == "relu" else b
        gradient.add_(2 * (1 - self.share) * self.importance * at_zero)

    def weights(self):
        """Copies of the weights by their names in the model: W, b and, if untied, W_out."""
        decoder, encoder = self.decoder.detach().clone(), self.encoder.detach().clone()
        found = {"W": encoder[:, :-1], "b": decoder[:, -1]}
        return found if self.model.tied else found | {"W_out": decoder[:, :-1].transpose(1, 2)}


def _cut(gradient, activation):
    """Set a gradient to 0 in place where a ReLU's output is 0: a single pass over memory."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
