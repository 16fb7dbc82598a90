"""The exact population loss and its minima.

loss       population_loss: of any model, differentiable; its split by active features;
           interference_penalty: what the minima can be made to pay for superposition
cube       few features: a recursion over sets of active features
series     many features: a Fourier series of the kink; its sum over harmonics, compiled:
           harmonics
atoms      its part with at most one active feature, in closed form
linear     linear outputs: means and variances
checks     arguments checked, with errors that name the bad value

These know PyTorch alone (for many features numba, too: harmonics, jit) and nothing else of
`common`: a copy of the folder computes losses in any project. What minimises them is loaded when it
is first asked for:

minima     minimise: the best minimum in every cell of a grid; polish: the one next to a model
branches   minima followed over the density: where the optimum jumps
compiled   the loss of few features with its gradient, compiled; its steps: forwards, backwards;
           jit: what compiles them
bfgs       quasi-Newton minimisation of many small problems at once
problem    a grid of minimisation problems: units, starts, neighbours
truncated  minima of the inputs with few active features alone
"""

from .linear import feature_variance
from .loss import (
    CUBE_FEATURES,
    interference_penalty,
    loss_by_active_features,
    population_loss,
)

MINIMA = ("Optimum", "minimise", "polish")

__all__ = [
    "CUBE_FEATURES",
    *MINIMA,
    "feature_variance",
    "interference_penalty",
    "loss_by_active_features",
    "population_loss",
]


def __getattr__(name):
    if name not in MINIMA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from common.exact import minima

    return getattr(minima, name)
