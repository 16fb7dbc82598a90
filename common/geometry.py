"""Numbers that describe how features are arranged in the hidden space.

Functions of W [..., m, n] take features as columns (torch tensor or array) and broadcast over
leading dimensions, unless they say that they take ONE model. A dead feature (norm 0) gives 0
everywhere, never NaN.
"""

import math

import torch

REPRESENTED_NORM = 0.5  # a feature counts as represented from this norm on (paper: "about 1")
ORTHOGONAL_SUPERPOSITION = 0.1  # and as orthogonal to the others below this superposition
ANTIPODAL_COSINE = -0.9  # two features are an antipodal pair from this cosine down


def _features(W):
    W = torch.as_tensor(W)
    if W.dim() < 2:
        raise ValueError(f"W must have shape [..., m, n], got {list(W.shape)}")
    return W


def safe_divide(a, b):
    """a / b, and 0 where b is 0."""
    return torch.where(b > 0, a / torch.where(b > 0, b, 1), 0)


def gram(W):
    """W^T W [..., n, n]."""
    W = _features(W)
    return W.transpose(-1, -2) @ W


def feature_norms(W):
    """||W_i|| [..., n]."""
    return _features(W).norm(dim=-2)


def superposition(W):
    """Superposition of each feature [..., n]: sum over j != i of (W_i/||W_i|| . W_j)^2.

    0 when the feature is orthogonal to all others, 1 or more when other features can activate its
    direction as strongly as it does itself (paper, "Basic Results").
    """
    G = gram(W)
    squared_norm = torch.diagonal(G, dim1=-2, dim2=-1)
    others = G - torch.diag_embed(squared_norm)
    return safe_divide((others**2).sum(-1), squared_norm)


def cosines(W):
    """Cosines between features [..., n, n]; 1 on the diagonal of features that are not dead."""
    W = _features(W)
    directions = safe_divide(W, W.norm(dim=-2, keepdim=True))
    return gram(directions)


interference = cosines  # the name by which scripts elsewhere know it


def positive_interference(W):
    """Sum of the positive off-diagonal entries of W^T W, each pair once [...]."""
    G = gram(W)
    own = torch.diagonal(G, dim1=-2, dim2=-1)
    return (G.clamp(min=0).sum((-2, -1)) - own.sum(-1)) / 2


def dimensionality(W):
    """Share of a hidden dimension each feature has to itself [..., n].

    D_i = ||W_i||^2 / sum over all j of (W_i/||W_i|| . W_j)^2 (paper, "The Geometry of
    Superposition").
    """
    squared_norm = feature_norms(W) ** 2
    return safe_divide(squared_norm, squared_norm + superposition(W))


def represented(W, threshold=REPRESENTED_NORM):
    """Whether each feature is represented [..., n]: its norm is at least `threshold`."""
    return feature_norms(W) >= threshold


def orthogonal(W):
    """Whether each feature [..., n] is represented and (nearly) orthogonal to all others."""
    return represented(W) & (superposition(W) < ORTHOGONAL_SUPERPOSITION)


def antipodal_pairs(W):
    """Pairs [..., n, n] (symmetric) of represented features that point in opposite directions."""
    alive = represented(W)
    opposite = cosines(W) <= ANTIPODAL_COSINE
    return opposite & alive[..., :, None] & alive[..., None, :]


def angles(W):
    """Direction of each feature in a two-dimensional hidden space [..., n], degrees in [0, 360)."""
    W = _features(W)
    if W.shape[-2] != 2:
        raise ValueError(f"angles need 2 hidden dimensions, got {W.shape[-2]}")
    return torch.rad2deg(torch.atan2(W[..., 1, :], W[..., 0, :])) % 360


def angle_gaps(W, threshold=REPRESENTED_NORM):
    """Angles between neighbouring represented features of ONE model W [2, n], degrees.

    In order around the circle, summing to 360; empty with fewer than two represented features.
    """
    W = _features(W)
    if W.dim() != 2:
        raise ValueError(f"angle_gaps takes one model, W [2, n], got {list(W.shape)}")
    directions = angles(W)[represented(W, threshold)].sort().values
    if directions.numel() < 2:
        return directions[:0]
    return torch.diff(directions, append=directions[:1] + 360)


def alignment(W):
    """Rotation and reflection Q [..., 2, 2] that makes a drawing of W [..., 2, n] comparable.

    In Q W the first feature points along the first axis and the feature furthest from that axis
    lies above it. Q changes no loss.
    """
    turn = torch.deg2rad(angles(W)[..., 0])
    cos, sin = torch.cos(turn), torch.sin(turn)
    rotation = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)
    heights = (rotation @ _features(W))[..., 1, :]
    furthest = heights.gather(-1, heights.abs().argmax(-1, keepdim=True))
    flip = torch.where(furthest < 0, -1.0, 1.0).to(rotation.dtype)
    return torch.cat([rotation[..., :1, :], flip[..., None] * rotation[..., 1:, :]], -2)


def align(W):
    """W [..., 2, n] in the orientation of `alignment`, each model in its own."""
    return alignment(W) @ _features(W)


def joined_at(norms, steps, threshold=REPRESENTED_NORM):
    """Step at which each feature joins for good, from norms [T, n] at `steps` [T].

    The first recorded step from which on the norm stays at or above `threshold`; None for a
    feature that is not represented at the end.
    """
    inside = torch.as_tensor(norms) >= threshold
    stays = inside.flip(0).cumprod(0).flip(0).bool()  # from here to the end
    return [steps[int(s.to(torch.uint8).argmax())] if s.any() else None for s in stays.T]


def regular_polygon(n_features, radius=1.0):
    """W [2, n] with n features of norm `radius` at equal angles, the first along the x axis."""
    turn = 2 * math.pi * torch.arange(n_features, dtype=torch.float64) / n_features
    return radius * torch.stack([torch.cos(turn), torch.sin(turn)])
