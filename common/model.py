"""The toy models: a stack of small autoencoders trained side by side.

    h  = W x              (hidden "linear", the paper's model)  or  relu(W x)  (hidden "relu")
    x' = f(W_out h + b)   with f the ReLU or the identity (output "relu" or "linear")

A tied model has W_out = W^T. Source: paper, "Demonstrating Superposition", the model.
"""

import math

import torch

from common.exact.checks import check_activation, check_count, check_positive


def xavier_scale(n_features, n_hidden):
    """Standard deviation sqrt(2 / (n + m)) of Xavier's rule for one m-by-n matrix."""
    return math.sqrt(2 / (n_features + n_hidden))


def authors_scale(n_features, n_hidden, instances):
    """Standard deviation of the authors' initial W.

    Their notebook applies xavier_normal_ to the stacked (instances, n, m) tensor, whose fans are
    n*m and instances*m: the scale shrinks as more models are stacked.
    """
    return math.sqrt(2 / (n_features * n_hidden + instances * n_hidden))


class Stack(torch.nn.Module):
    """A stack of models side by side, with feature directions W [instances, m, n] as columns."""

    @property
    def instances(self):
        """Number of stacked models."""
        return self.W.shape[0]

    @property
    def n_features(self):
        """Number of features n."""
        return self.W.shape[2]


class ToyModel(Stack):
    """A stack of independent toy models.

    W [instances, m, n] holds the feature directions as columns; b [instances, n] starts at 0
    and stays there without `bias`; an untied model has W_out [instances, n, m] as well, started as
    the transpose of its W.

    init_scale is the standard deviation of the initial entries of W, by default Xavier's for one
    model. The draws are made instance by instance, so the first k instances start the same
    however many are stacked behind them.

    Raises ValueError for sizes below 1, an unknown activation or a scale that is not positive.
    """

    def __init__(
        self,
        n_features,
        n_hidden,
        instances=1,
        *,
        hidden="linear",
        output="relu",
        tied=True,
        bias=True,
        init_scale=None,
        generator=None,
    ):
        super().__init__()
        n = check_count(n_features, "n_features")
        m = check_count(n_hidden, "n_hidden")
        instances = check_count(instances, "instances")
        self.hidden = check_activation(hidden, "hidden")
        self.output = check_activation(output, "output")
        self.tied = tied
        scale = xavier_scale(n, m) if init_scale is None else init_scale
        check_positive(scale, "init_scale")
        draws = [torch.randn(m, n, generator=generator) for _ in range(instances)]
        self.W = torch.nn.Parameter(scale * torch.stack(draws))
        self.b = torch.nn.Parameter(torch.zeros(instances, n), requires_grad=bias)
        if not tied:
            self.W_out = torch.nn.Parameter(self.W.detach().transpose(1, 2).clone())

    @classmethod
    def from_weights(cls, W, b, W_out=None, *, hidden="linear", output="relu"):
        """The stack of given weights W [instances, m, n], b [instances, n], W_out or None (tied).

        The weights are copied as float32.
        """
        instances, m, n = W.shape
        options = {"hidden": hidden, "output": output, "tied": W_out is None}
        model = cls(n, m, instances, **options)
        weights = {"W": W, "b": b} if W_out is None else {"W": W, "b": b, "W_out": W_out}
        model.load_state_dict(weights)
        return model

    @property
    def decoder(self):
        """Decoding matrix [instances, n, m]: W^T, or W_out of an untied model."""
        return self.W.transpose(1, 2) if self.tied else self.W_out

    def forward(self, x):
        """Reconstructions x' [instances, batch, n] of inputs x [instances, batch, n]."""
        if x.dim() != 3 or x.shape[0] not in (1, self.instances) or x.shape[2] != self.n_features:
            raise ValueError(
                f"x must have shape [{self.instances}, batch, {self.n_features}], "
                f"got {list(x.shape)}"
            )
        h = x @ self.W.transpose(1, 2)
        h = torch.relu(h) if self.hidden == "relu" else h
        z = h @ self.decoder.transpose(1, 2) + self.b[:, None]
        return torch.relu(z) if self.output == "relu" else z
