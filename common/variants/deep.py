"""A deeper toy model: one more nonlinear layer between the hidden vector and the output.

    h = W x,   a = relu(V h + c),   x' = relu(U a + b)

The hidden vector h is as narrow as in the toy model and W means the same, so that everything said
about the geometry of features carries over; only what reads them is more powerful.
"""

import torch

from common.exact.checks import check_count
from common.model import Stack, xavier_scale


class DeepModel(Stack):
    """A stack of independent deep models.

    W [instances, m, n], V [instances, k, m], c [instances, k], U [instances, n, k],
    b [instances, n]; Xavier's scale for one model, biases 0. Draws are made instance by instance.
    """

    def __init__(self, n_features, n_hidden, width, instances=1, *, generator=None):
        super().__init__()
        n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
        k, instances = check_count(width, "width"), check_count(instances, "instances")
        draws = [
            [xavier_scale(*shape) * torch.randn(shape, generator=generator) for shape in shapes]
            for shapes in [((m, n), (k, m), (n, k))] * instances
        ]
        weights = [torch.nn.Parameter(torch.stack(stack)) for stack in zip(*draws, strict=True)]
        self.W, self.V, self.U = weights
        self.c = torch.nn.Parameter(torch.zeros(instances, k))
        self.b = torch.nn.Parameter(torch.zeros(instances, n))

    def decode(self, h):
        """Outputs x' [instances, batch, n] from hidden vectors h [instances, batch, m]."""
        a = torch.relu(h @ self.V.transpose(1, 2) + self.c[:, None])
        return torch.relu(a @ self.U.transpose(1, 2) + self.b[:, None])

    def forward(self, x):
        """Reconstructions x' [instances, batch, n] of inputs x [instances or 1, batch, n]."""
        return self.decode(x @ self.W.transpose(1, 2))
