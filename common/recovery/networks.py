"""Small networks in torch, a stack of them trained at once: a learned decoder, sparse autoencoders.

All are trained with Adam and a cosine learning rate. Nothing here depends on how many are stacked.
"""

import math

import numpy as np
import torch

from common.data import SparseFeatures
from common.exact.checks import check_count, check_density, check_positive
from common.training import Recipe, descend

BATCH = 128  # inputs a step and network
RATE = 5e-3  # first learning rate


def train_decoder(W, density, *, width, steps, seed):
    """Networks that see h = W x and answer with x = relu(A h + c + B relu(C h + d)).

    W [S, m, n], one network each, with `width` hidden ReLUs. They start as matched filters with a
    small negative bias, the paper's decoder, and B = 0; so training can only add to that. Returns
    decode(h [S, N, m]) -> estimates [S, N, n], arrays. Empty inputs are added exactly in training.
    """
    W = torch.as_tensor(np.asarray(W), dtype=torch.float32)
    if W.dim() != 3:
        raise ValueError(f"W must have shape [S, m, n], got {list(W.shape)}")
    stack, m, n = W.shape
    data = SparseFeatures(n, check_density(density).expand(stack), skip_empty=True)
    share = data.sampled_share[0].item()
    width = check_count(width, "width")
    A = W / W.square().sum(1, keepdim=True).clamp(min=0.1)
    c = torch.full((stack, 1, n), -0.1)
    C = _layers(stack, m, width, seed)
    d, B = torch.zeros(stack, 1, width), torch.zeros(stack, width, n)
    weights = [value.clone().requires_grad_() for value in (A, c, C, d, B)]

    def answer(h):
        A, c, C, d, B = weights
        hidden = torch.relu(torch.baddbmm(d, h, C))
        return torch.relu(torch.baddbmm(c, h, A) + torch.bmm(hidden, B))

    def loss(generator):
        x = data.sample(BATCH, generator)
        error = (answer(x @ W.transpose(1, 2)) - x).square().sum((0, 2)).mean()
        empty = answer(torch.zeros(stack, 1, m)).square().sum()
        return share * error + (1 - share) * empty

    descend(weights, loss, _recipe(steps), seed=seed + 1)

    def decode(h):
        with torch.no_grad():
            return answer(torch.as_tensor(np.asarray(h), dtype=torch.float32)).double().numpy()

    return decode


def train_autoencoder(h, count, *, steps, seed, penalty=None, top=None):
    """Sparse autoencoders h ~ D z with z = relu(E h + e) >= 0; returns D [S, m, count], unit norm.

    h [S, N, m], one autoencoder each. Either `penalty` (on the sum of z) or `top` (only that many
    largest z survive). Atoms start at inputs drawn at random.
    """
    if (penalty is None) == (top is None):
        raise ValueError("give either a penalty or top")
    if penalty is not None:
        check_positive(penalty, "penalty")
    h = torch.as_tensor(np.asarray(h), dtype=torch.float32)
    stack, rows, m = h.shape
    generator = torch.Generator().manual_seed(seed)
    start = torch.rand(stack, rows, generator=generator).argsort(1)[:, :count]
    atoms = h.gather(1, start[..., None].expand(-1, -1, m))
    atoms = atoms + 0.05 * torch.randn(atoms.shape, generator=generator)
    atoms = atoms / atoms.norm(dim=2, keepdim=True)
    D, E, e = atoms.clone(), atoms.transpose(1, 2).clone(), torch.zeros(stack, 1, count)
    weights = [value.requires_grad_() for value in (D, E, e)]

    def loss(generator):
        rows_ = torch.randint(rows, (stack, BATCH), generator=generator)
        batch = h.gather(1, rows_[..., None].expand(-1, -1, m))
        z = torch.relu(torch.baddbmm(e, batch, E))
        if top is not None:
            z = z * (z >= z.topk(min(top, count), dim=2).values[..., -1:])
        unit = D / D.norm(dim=2, keepdim=True)
        error = (z @ unit - batch).square().sum((0, 2)).mean()
        return error / 2 + (penalty * z.sum((0, 2)).mean() if penalty else 0)

    descend(weights, loss, _recipe(steps), seed=seed + 1)
    unit = (D / D.norm(dim=2, keepdim=True)).detach()
    return unit.transpose(1, 2).double().numpy()


def _recipe(steps):
    return Recipe(
        steps=steps, batch=BATCH, learning_rate=RATE, weight_decay=0, cosine=True, skip_empty=True
    )


def _layers(stack, inputs, outputs, seed):
    """Matrices [S, inputs, outputs] at He's scale, drawn network by network."""
    generator = torch.Generator().manual_seed(seed)
    scale = math.sqrt(2 / inputs)
    draws = [scale * torch.randn(inputs, outputs, generator=generator) for _ in range(stack)]
    return torch.stack(draws)
