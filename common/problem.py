"""A grid of minimisation problems: the loss of a tied model in every cell, and where to start."""

import torch

from common.bfgs import Minima, minimise_batch, with_gradient
from common.cores import on_all_cores
from common.data import SparseFeatures
from common.model import ToyModel, xavier_scale
from common.training import FAST, train

MEMORY = 2**18  # numbers a model evaluation may hold at a time
TOLERANCE = 1e-7  # gradient at a minimum, relative to the loss of a model that outputs 0
SHORT = 80  # evaluations after which the problems still moving are gathered
ROUNDS = 1500  # evaluations after which a start is given up as not converged
POLISHED = 1  # starts of a cell that go on to quasi-Newton after Adam (many features)
START = 0.7  # standard deviation of the entries of W at the start


class Problem:
    """The exact loss of one cell each, as a function of W and b in one vector."""

    def __init__(self, n, m, density, importance, loss, terms, noise=1e-13):
        """Cells [N] of density [N] and importance [N, n].

        loss(W, b, density, importance) -> [M] is differentiable; `terms` is about how many numbers
        it holds in memory for every model, `noise` how smooth it is, relative to the scale.
        """
        self.n, self.m = n, m
        self.density, self.importance = density, importance
        self.loss, self.terms, self.noise = loss, terms, noise
        self.scale = density / 3 * importance.sum(-1)  # loss of a model that outputs 0
        self.value_and_gradient = with_gradient(self._relative_loss)

    def minimise(self, x, cell):
        """Minima from x [N, d] for the problems of `cell` [N]."""
        found = self._sweep(x, cell, SHORT)
        late = (~found.converged).nonzero()[:, 0]
        if len(late):  # the few slow ones of all chunks go on together
            found.put(late, self._sweep(found.x[late], cell[late], ROUNDS))
        return found

    def _sweep(self, x, cell, rounds):
        """Up to `rounds` evaluations of every problem, a chunk at a time."""
        chunk = max(1, MEMORY // self.terms)
        parts = x.split(chunk), cell.split(chunk)

        def run(start, which):
            def function(y, index):
                return self.value_and_gradient(y, which[index])

            units = natural_units(self.importance[which], self.density[which], self.m)
            limits = {"tolerance": TOLERANCE, "rounds": rounds, "gain": self.noise}
            return minimise_batch(function, start, units, **limits)

        found = list(on_all_cores(run, *parts))
        fields = ("x", "value", "gradient", "converged")
        return Minima(*(torch.cat([getattr(f, name) for f in found]) for name in fields))

    def descend_and_minimise(self, x, cell, seed):
        """Adam on samples from x [N, d]; then the minima next to the best few of every cell."""
        model = ToyModel(self.n, self.m, len(x))
        with torch.no_grad():
            # Many features need a smaller start than few do: Xavier's.
            shrink = xavier_scale(self.n, self.m) / START
            model.W.copy_(shrink * split(x, self.n, self.m)[0])
        data = SparseFeatures(self.n, self.density[cell], skip_empty=True)
        train(model, data, self.importance[cell], recipe=FAST, seed=seed)
        x = torch.cat([model.W.detach().flatten(1), model.b.detach()], 1).double()
        value, gradient = self.value_and_gradient(x, cell)
        found = Minima(x, value, gradient.abs().amax(1), torch.zeros(len(x)).bool())

        restarts = len(x) // len(self.density)
        lowest = value.reshape(-1, restarts).argsort(1)[:, :POLISHED]
        some = (lowest + restarts * torch.arange(len(lowest))[:, None]).reshape(-1)
        end = self.minimise(x[some], cell[some])
        found.put(some, end)
        return found

    def _relative_loss(self, x, cell):
        """Loss [N] of x [N, d] in the cells `cell` [N], relative to its scale."""
        W, b = split(x, self.n, self.m)
        return self.loss(W, b, self.density[cell], self.importance[cell]) / self.scale[cell]


def split(x, n, m):
    """W [..., m, n] and b [..., n] of x [..., m n + n]."""
    return x[..., : m * n].unflatten(-1, (m, n)), x[..., m * n :]


def lowest_starts(value, restarts):
    """Positions [N] of the lowest start of each problem, in value [N * restarts]: all starts of a
    problem stand one after another."""
    best = value.reshape(-1, restarts).argmin(1)
    return best + restarts * torch.arange(len(best))


def natural_units(importance, density, m):
    """[..., d]: what changes the loss by a similar amount for every entry of W and b.

    Curvature grows with the feature's importance [..., n]. A bias is felt by all inputs, also the
    empty ones, a weight only by a share p, the density [...], of them.
    """
    share = importance / importance.sum(-1, keepdim=True)
    feature = share.clamp(min=1e-4).rsqrt()
    return torch.cat([*[feature] * m, density[..., None] * feature], -1)


def starts(n, m, restarts, seed):
    """Starting points [restarts, m n + n]: random W in pairs of opposite last feature, b = 0."""
    generator = torch.Generator().manual_seed(seed)
    half = (restarts + 1) // 2
    W = START * torch.randn(half, m, n, generator=generator, dtype=torch.float64)
    mirrored = W.clone()
    mirrored[..., -1] *= -1
    W = torch.stack([W, mirrored], 1).reshape(2 * half, m * n)[:restarts]
    return torch.cat([W, torch.zeros(restarts, n, dtype=torch.float64)], 1)


def neighbours(cells):
    """For each direction along each axis of the grid, the index of every cell's neighbour."""
    index = torch.arange(cells.numel()).reshape(cells)
    for axis, size in enumerate(cells):
        if size > 1:
            position = torch.arange(size)
            for shifted in ((position - 1).clamp(min=0), (position + 1).clamp(max=size - 1)):
                yield index.index_select(axis, shifted).reshape(-1)
