"""Some instances of a stack of toy models, packed for compiled training steps."""

import numpy as np
import torch

from common.steps.compiled import LANES, TILE, train_steps


class Block:
    """The instances `part` (a slice) of a ToyModel, whose weights it trains a copy of.

    data       : of the whole stack; one whose `law` is None is asked for every batch.
    law        : what `inputs` needs of the whole stack, see SparseFeatures.law, or None.
    importance : [instances, n] of the whole stack.
    share      : probability [instances] that an input is of the kind that is drawn.
    thinned    : whether a batch contains its share of empty inputs, or only those drawn.
    states     : of the generators of the whole stack, see `random_states`.
    """

    def __init__(self, model, part, data, law, importance, share, thinned, recipe, states):
        decoder, b, W = model.decoder[part].mT, model.b[part][:, None], model.W[part]
        rows = torch.cat([decoder, b] if model.tied else [decoder, b, W], 1).detach()
        count, self.m, n = rows.shape[1], W.shape[1], W.shape[2]
        self.tied, self.rows, states = model.tied, rows.numpy(), states[part]
        kind = (model.tied, model.hidden == "relu", model.output == "relu", model.b.requires_grad)
        self.model = (self.rows, np.zeros((2, *rows.shape), np.float32), kind)
        self.loss = (importance[part].double().numpy(), share[part].double().numpy(), recipe.batch)
        self.none = np.zeros((len(rows), n, 0), np.float32)
        drawn = law is not None
        law = [values[part] for values in law] if drawn else [self.none[:, 0]] * 2
        self.draws, self.decay = (thinned, states, *law), float(recipe.weight_decay)
        # Memory from torch begins where a line of the cache does, which makes steps faster.
        self.work = torch.empty(2 * (n + self.m) + 1, TILE), torch.empty(count, n, LANES)
        self.batches = None
        if not drawn:
            generator = torch.Generator().manual_seed(int(states[0, 0]))
            own = data.part(part)
            self.batches = lambda: own.sample(recipe.batch, generator).mT.float().contiguous()

    def train(self, schedule):
        """Train as many steps as `schedule` is long, see Recipe.schedule."""
        if not self.batches:
            return self._train(self.none, schedule)
        for step in range(len(schedule)):
            self._train(self.batches().numpy(), schedule[step : step + 1])

    def _train(self, x, schedule):
        work = [memory.numpy() for memory in self.work]
        train_steps(*self.model, *self.loss, self.draws, x, schedule, self.decay, *work)

    def weights(self):
        """Copies of the weights by their names in the model: W, b and, if untied, W_out."""
        m, rows = self.m, torch.tensor(self.rows)
        found = {"W": rows[:, :m] if self.tied else rows[:, m + 1 :], "b": rows[:, m]}
        return found if self.tied else found | {"W_out": rows[:, :m].mT}
