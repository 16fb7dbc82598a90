"""The exact population loss and its minima.

loss       population_loss: of any model, differentiable; its split by active features
minima     minimise: the best minimum in every cell of a grid; polish: the one next to a model
branches   minima followed over the density: where the optimum jumps
cube       few features: a recursion over sets of active features
compiled   the same and its minimisation, compiled
series     many features: a Fourier series of the kink
bfgs       quasi-Newton minimisation of many small problems at once
problem    a grid of minimisation problems: units, starts, neighbours
truncated  minima of the inputs with few active features alone
"""

from common.exact.loss import CUBE_FEATURES, loss_by_active_features, population_loss
from common.exact.minima import Optimum, minimise, polish

__all__ = [
    "CUBE_FEATURES",
    "Optimum",
    "loss_by_active_features",
    "minimise",
    "polish",
    "population_loss",
]
