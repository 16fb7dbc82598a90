"""A grid of minimisation problems: the loss of a tied model in every cell, and where to start."""

import torch
from joblib import cpu_count

from common.data import SparseFeatures
from common.exact import compiled
from common.exact.bfgs import Minima, minimise_batch, with_gradient
from common.exact.loss import interference_penalty
from common.model import ToyModel, xavier_scale
from common.parallel import on_all_cores, progress
from common.training import FAST, train

MEMORY = 2**18  # numbers a model evaluation may hold at a time
TOGETHER = 2**14  # variables of the compiled minimisations that one thread does at a time
TOLERANCE = 1e-7  # gradient at a minimum, relative to the loss of a model that outputs 0
EARLY_ROUNDS = 80  # evaluations after which the problems still moving are gathered
ROUNDS = 1500  # evaluations after which a start is given up as not converged
START_DEVIATION = 0.7  # standard deviation of the entries of W at a start of the first kind
START_NORM = 1.1  # norm of all features at a start of the second kind
LOWEST_BIAS = -0.3  # the biases there lie between this and 0


class Problem:
    """The exact loss of one cell each, as a function of W and b in one vector."""

    def __init__(
        self, n, m, density, importance, loss, terms, *,
        noise=1e-13, few=False, penalty=None, tolerance=TOLERANCE, sharper=None,
    ):  # fmt: skip
        """Cells [N] of density and importance [N, n], penalty [N] or none.

        loss(W, b, density, importance) -> [M] is differentiable; `terms` is about how many numbers
        it holds in memory for every model, `noise` how smooth it is, relative to the scale. `few`:
        it is the loss of few ReLU features, which is minimised in its compiled form. tolerance: of
        the gradient at a minimum. sharper: a Problem with the same loss more accurately, for what
        has not converged: the accuracy of a series decides how far its value jumps.
        """
        self.few, self.tolerance, self.sharper = few, tolerance, sharper
        self.n, self.m = n, m
        self.density, self.importance = density, importance
        self.loss, self.terms, self.noise = loss, terms, noise
        self.penalty = torch.zeros(len(density)).double() if penalty is None else penalty
        # The loss of a model that outputs 0, sum of p I / 3; of equal densities p exactly as one.
        total, least = importance.sum(-1), density.amin(-1)
        more = ((density - least[:, None]) * importance).sum(-1) / total
        self.scale = (least + more) / 3 * total
        relative = importance / self.scale[:, None], self.penalty / self.scale
        self.numbers = [v.contiguous().numpy() for v in (density, *relative)]
        self.value_and_gradient = self._compiled_loss if few else with_gradient(self._relative_loss)

    def minimise(self, x, cell):
        """Minima from x [N, d] for the problems of `cell` [N]."""
        if self.few:
            size = min(max(1, TOGETHER // x.shape[1]), -(-len(x) // cpu_count()))
            return self._sweep(x, cell, ROUNDS, size)
        found = self._sweep(x, cell, EARLY_ROUNDS)
        late = (~found.converged).nonzero()[:, 0]
        if len(late):  # the few slow ones of all chunks go on together
            found.put(late, self._sweep(found.x[late], cell[late], ROUNDS))
        late = (~found.converged).nonzero()[:, 0]
        if len(late) and self.sharper is not None:
            found.put(late, self.sharper.minimise(found.x[late], cell[late]))
        return found

    def _sweep(self, x, cell, rounds, size=None):
        """Up to `rounds` evaluations of every problem, `size` problems at a time."""

        def run(start, which):
            def function(y, index):
                return self.value_and_gradient(y, which[index])

            penalty = self.penalty[which] / self.scale[which]
            units = natural_units(start, self.density[which], self.importance[which], penalty)
            limits = {"tolerance": self.tolerance, "rounds": rounds, "gain": self.noise}
            return minimise_batch(function, start, units, **limits)

        return _in_chunks(run, size or max(1, MEMORY // self.terms), x, cell)

    def descend_and_minimise(self, x, cell, seed):
        """Adam on samples from x [N, d]; then the minimum next to the lowest end of every cell."""
        model = ToyModel(self.n, self.m, len(x))
        with torch.no_grad():
            # Many features need a smaller start than few do: Xavier's.
            W = split(x, self.n, self.m)[0]
            model.W.copy_(xavier_scale(self.n, self.m) * W / W.std(dim=(1, 2), keepdim=True))
        data = SparseFeatures(self.n, self.density[cell], per_feature=True, skip_empty=True)
        train(model, data, self.importance[cell], recipe=FAST, seed=seed)
        x = torch.cat([model.W.detach().flatten(1), model.b.detach()], 1).double()
        if self.penalty.any():  # of which the descent knows nothing
            found = self._sweep(x, cell, EARLY_ROUNDS)
            x = found.x
        else:
            value, gradient = self.value_and_gradient(x, cell)
            found = Minima(x, value, gradient.abs().amax(1), torch.zeros(len(x)).bool())
        lowest = found.lowest_of(len(x) // len(self.density))
        found.put(lowest, self.minimise(x[lowest], cell[lowest]))
        return found

    def _relative_loss(self, x, cell):
        """Loss with its penalty [N] of x [N, d] in the cells `cell` [N], relative to its scale."""
        W, b = split(x, self.n, self.m)
        loss = self.loss(W, b, self.density[cell], self.importance[cell])
        if self.penalty.any():
            loss = loss + self.penalty[cell] * interference_penalty(W)
        return loss / self.scale[cell]

    def _compiled_loss(self, x, cell):
        """The same with its gradient [N, d], of few features."""
        value, gradient = torch.empty(len(x)).double(), torch.empty_like(x)
        compiled.model_losses(
            x.numpy(), cell.numpy(), self.m, *self.numbers, compiled.pairs(self.n),
            value.numpy(), gradient.numpy(),
        )  # fmt: skip
        return value, gradient

    def task_loss(self, minima):
        """Loss [N] without its penalty of the Minima [N] of all cells."""
        interference = interference_penalty(split(minima.x, self.n, self.m)[0])
        return minima.value * self.scale - self.penalty * interference


def _in_chunks(run, size, *parts):
    """The Minima run(*parts), found for `size` of the problems at a time."""
    parts = [part.split(size) for part in parts]
    found = []
    with progress("minima", len(parts[0])) as done:
        for minima in on_all_cores(run, *parts):
            found.append(minima)
            done(1)
    return Minima.joined(found)


def split(x, n, m):
    """W [..., m, n] and b [..., n] of x [..., m n + n]."""
    return x[..., : m * n].unflatten(-1, (m, n)), x[..., m * n :]


def natural_units(x, density, importance, penalty):
    """[N, d]: what changes the loss by a similar amount for every entry of x [N, d], W and b.

    Curvature grows with the feature's importance [N, n]. A weight is felt by a share p, the density
    [N, n], of all inputs, and so is a bias below 0; one above 0 is felt by all, also the empty
    ones, and has the unit p. (With p for either sign twenty features at p = 0.001 do not converge.)
    The penalty [N], relative to the scale, adds its own curvature to that of weights.
    """
    n = density.shape[-1]
    m = x.shape[-1] // n - 1
    share = importance / importance.sum(-1, keepdim=True)
    weight = (share.clamp(min=1e-4) + penalty[..., None]).rsqrt()
    bias = torch.where(x[..., m * n :] < 0, 1, density) * share.clamp(min=1e-4).rsqrt()
    return torch.cat([*[weight] * m, bias], -1)


def starts(n, m, restarts, seed):
    """Starting points [restarts, m n + n], in pairs of opposite last feature.

    Every second pair has normal entries of W and b = 0. The others have features of one norm and
    negative biases: minima with many features in superposition are narrow when features are rare,
    and from b = 0 hardly any start gets there (n = 5, m = 2, p = 0.03, I_i = 0.63^(i-1): 0 of 512;
    from the others 4 in 100).
    """
    generator = torch.Generator().manual_seed(seed)
    half = (restarts + 1) // 2
    W = torch.randn(half, m, n, generator=generator, dtype=torch.float64)
    b = LOWEST_BIAS * torch.rand(half, n, generator=generator, dtype=torch.float64)
    normal = torch.arange(half)[:, None] % 2 == 0
    W = torch.where(
        normal[:, None], START_DEVIATION * W, START_NORM * W / W.norm(dim=1, keepdim=True)
    )
    mirrored = W.clone()
    mirrored[..., -1] *= -1
    b = torch.where(normal, 0, b)[:, None].expand(-1, 2, -1)
    x = torch.cat([torch.stack([W, mirrored], 1).flatten(2), b], 2)
    return x.flatten(0, 1)[:restarts]


def rearranged(x, density, m):
    """Models x [N, d] with any two features exchanged, or one turned round, or outputs switched on:
    [K, N, d]. density [N, n].

    Which feature stands where, and on which side, is what minima of nearly the same loss differ in
    most often. An output of a dead feature that is 0 for all inputs has no gradient: its bias is
    raised to the best one of an output without interference, p/2 (1 - |W_i|^2).
    """
    n = density.shape[-1]
    W, b = split(x, n, m)
    changed = []
    for i, j in torch.combinations(torch.arange(n)).tolist():
        order = torch.arange(n)
        order[[i, j]] = torch.tensor([j, i])
        changed.append((W[..., order], b[..., order]))
    for i in range(n):
        sign = torch.ones(n, dtype=x.dtype)
        sign[i] = -1
        changed.append((sign * W, b))
    changed.append((W, b.maximum(density / 2 * (1 - W.square().sum(-2)))))
    return torch.stack([torch.cat([W.flatten(-2), b], -1) for W, b in changed])


def neighbours(cells):
    """For each direction along each axis of the grid, the index of every cell's neighbour."""
    index = torch.arange(cells.numel()).reshape(cells)
    for axis, size in enumerate(cells):
        if size > 1:
            position = torch.arange(size)
            for shifted in ((position - 1).clamp(min=0), (position + 1).clamp(max=size - 1)):
                yield index.index_select(axis, shifted).reshape(-1)
