"""What single hidden neurons respond to, and whether the axes of the hidden space are special.

A neuron is one hidden dimension: row k of W [..., m, n]. With a ReLU on the hidden layer the axes
are a basis the model cannot rotate away; without one any rotation of the hidden space gives the
same model.
"""

import math

import torch

from common.exact.checks import check_count
from common.geometry import safe_divide

PURE = 0.9  # a neuron is monosemantic when one feature makes up this share of its squared weights
ALIVE = 0.5  # and dead when its weights are shorter than this


def feature_shares(W):
    """Share of each feature in the squared weights of each neuron [..., m, n]; 0 when dead."""
    W = torch.as_tensor(W)
    return safe_divide(W**2, (W**2).sum(-1, keepdim=True))


def neuron_kinds(W, pure=PURE):
    """(monosemantic, polysemantic, dead), booleans [..., m]; every neuron is exactly one of them.

    A monosemantic neuron has at least a share `pure` of its squared weights on one feature.
    """
    W = torch.as_tensor(W)
    dead = W.norm(dim=-1) < ALIVE
    one = feature_shares(W).amax(-1) >= pure
    return one & ~dead, ~one & ~dead, dead


def axis_alignment(W):
    """How closely the features of each model keep to the axes [...]: between 1/m and 1.

    sum_ki W_ki^4 / sum_i ||W_i||^4: 1 when every feature lies on one neuron, 1/m when each is
    spread evenly over all. Long features count more.
    """
    squares = torch.as_tensor(W) ** 2
    largest = (squares.sum(-2) ** 2).sum(-1)
    return (squares**2).sum((-2, -1)) / largest.clamp(min=torch.finfo(largest.dtype).tiny)


def random_rotations(size, count, seed):
    """Orthogonal matrices [count, size, size], uniformly distributed, float64."""
    generator = torch.Generator().manual_seed(seed)
    shape = (check_count(count, "count"), check_count(size, "size"), size)
    Q, R = torch.linalg.qr(torch.randn(shape, generator=generator, dtype=torch.float64))
    return Q * torch.diagonal(R, dim1=-2, dim2=-1).sign()[:, None]  # makes the law uniform


def rotations_by(size, degrees, count, seed):
    """Rotations [count, size, size] of a plane drawn at random by an angle, float64."""
    planes = random_rotations(size, count, seed)
    angle = math.radians(degrees)
    turn = torch.eye(size, dtype=torch.float64)
    turn[[0, 1], [0, 1]] = math.cos(angle)
    turn[0, 1], turn[1, 0] = -math.sin(angle), math.sin(angle)
    return planes @ turn @ planes.transpose(1, 2)


def sorted_neurons(W):
    """W [m, n] with its neurons in the order of the feature that dominates each."""
    W = torch.as_tensor(W)
    dominant = feature_shares(W).argmax(-1)
    return W[dominant.argsort(stable=True)]
