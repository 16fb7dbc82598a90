"""When a claim holds for a trained model: one function a claim, whoever asks.

These are the claims' judges: the notebook that owns a claim calls its judge on the model it draws,
the robustness study calls the same one on every single run (`common.robustness.statements` says
which). A claim is judged as it is worded, see `common.artifacts.verdict`.

Functions take W [..., m, n], or, where a claim is about several densities, W [D, ..., m, n] from
dense to sparse, and return booleans [...].

What counts as represented, orthogonal or an antipodal pair is defined in `common.geometry`.
"""

import torch

from common import geometry
from common.phases import diagram

# "Dedicated orthogonal dimensions", "not embedded", "negative biases": an entry of W^T W or a bias
# counts as 0 or 1 when it is less than a twentieth of the scale away on which it is drawn.
ENTRY_TOLERANCE = 0.05
# The bias of a dropped feature is its mean p/2 within a fifth of it: the best bias moves with the
# sum of a row's small entries, and a row has up to eighty.
MEAN_TOLERANCE = 0.2
POLYGON_TOLERANCE = 8  # degrees; a regular polygon bends where importances differ
LEAST_INTERFERENCE = 0.1  # of a pentagon; 1.5 when regular, 0 for antipodal pairs
SPARSE_INTERFERENCE = 1  # of twenty features in five dimensions
SAME_DIRECTION = 0.95  # cosine from which two features point the same way
GAIN_BELOW = 0.9  # a loss below this part of the best linear model's gains something
MAP_SHARE = 0.95  # of a map's cells that have to satisfy what is said of the map
COUNT_TOLERANCE = 1  # features; published counts are read off a figure and good to about one

# Read off the paper's figure of twenty features in five dimensions, at densities of 1, 0.3, 0.1,
# 0.03, 0.01, 0.003 and 0.001.
PUBLISHED = (5, 7, 9, 10, 11, 12, 12)  # represented features
PUBLISHED_ORTHOGONAL = (5, 3, 1, 0, 0, 0, 0)  # of these, orthogonal ones


# --- one model -----------------------------------------------------------------------------------


def dedicated(W):
    """The m most important features have orthogonal dimensions of their own, no other is embedded.

    W^T W is the identity on the first m features and 0 elsewhere.
    """
    m, n = W.shape[-2:]
    wanted = torch.diag((torch.arange(n) < m).to(W.dtype))
    return ((geometry.gram(W) - wanted).abs() < ENTRY_TOLERANCE).all(-1).all(-1)


def picks_favourites(W):
    """Some m features have orthogonal dimensions of their own, and no other is embedded."""
    longest_first = geometry.feature_norms(W).argsort(-1, descending=True)
    return dedicated(W.gather(-1, longest_first[..., None, :].expand(W.shape)))


def not_embedded(W):
    """Features [..., n] whose entries of W^T W are all 0."""
    return (geometry.gram(W).abs() < ENTRY_TOLERANCE).all(-1)


def in_pairs(W):
    """The 2m most important features are m antipodal pairs, and no other is embedded."""
    k = 2 * W.shape[-2]
    partners = geometry.antipodal_pairs(W).sum(-1)
    return (partners[..., :k] == 1).all(-1) & not_embedded(W)[..., k:].all(-1)


def polygon(W):
    """All features of W [..., 2, n] stand nearly as a regular polygon and interfere positively."""
    directions = geometry.angles(W).sort(-1).values
    gaps = torch.diff(directions, append=directions[..., :1] + 360)
    regular = (gaps - 360 / W.shape[-1]).abs().amax(-1) < POLYGON_TOLERANCE
    positive = geometry.positive_interference(W) > LEAST_INTERFERENCE
    return regular & positive & geometry.represented(W).all(-1)


def packs(W, loss, linear):
    """No two features point the same way, and the loss is well below the best linear model's."""
    same = torch.triu(geometry.cosines(W) > SAME_DIRECTION, 1)
    return ~same.any(-1).any(-1) & (loss < GAIN_BELOW * linear)


def same_phase(W, codes):
    """The phase of a model of the phase diagrams is `codes` [...], positions in diagram.PHASES."""
    return diagram.phase(W) == codes


def mostly(hits):
    """Most cells of a map do; `hits` are booleans, or the share of those that do."""
    return torch.as_tensor(hits).double().mean() >= MAP_SHARE


def joint(W):
    """Three features share the plane, none opposite another."""
    return same_phase(W, diagram.PHASES.index(diagram.JOINT))


# --- a series of densities, from dense to sparse -------------------------------------------------


def as_linear(W, b, density):
    """At every density [D] W and b [D, ..., n] are the best linear model's.

    The first m features are `dedicated`, with biases of 0; the biases of the others are p/2.
    """
    m, n = W.shape[-2:]
    mean = density.reshape(-1, *[1] * (b.dim() - 1)) / 2
    off = (b - mean * (torch.arange(n) >= m)).abs()
    return (dedicated(W) & (off < MEAN_TOLERANCE * mean).all(-1)).all(0)


def never_more(W):
    """At no density are there more features than dimensions."""
    return (geometry.represented(W).sum(-1) <= W.shape[-2]).all(0)


def stores_more(W, linear):
    """The sparser the features the more of them are stored; never more than m by W [D, ...] of
    linear models."""
    counts = geometry.represented(W).sum(-1)
    return (counts.diff(dim=0) >= 0).all(0) & (counts[-1] > counts[0]) & never_more(linear)


def falls_in_order(W):
    """Orthogonal features are the most important ones at every density and never increase."""
    orthogonal = geometry.orthogonal(W).int()
    counts = orthogonal.sum(-1)
    first = orthogonal.cumprod(-1).sum(-1) == counts
    return first.all(0) & (counts.diff(dim=0) <= 0).all(0)


def counts_agree(counts, published):
    """Counts [D, ...] are within COUNT_TOLERANCE of the published ones [D] at every density."""
    published = torch.as_tensor(published).reshape(-1, *[1] * (counts.dim() - 1))
    return ((counts - published).abs() <= COUNT_TOLERANCE).all(0)


def orthogonal_as_published(W):
    """As many features of the small model are orthogonal as in the paper's figure."""
    return counts_agree(geometry.orthogonal(W).sum(-1), PUBLISHED_ORTHOGONAL)


def stored_as_published(W):
    """As many features of the small model are represented as in the paper's figure."""
    return counts_agree(geometry.represented(W).sum(-1), PUBLISHED)


def pairs_first(W):
    """There is superposition, and at the first two densities with it all of it is in pairs."""
    sharing = geometry.represented(W) & ~geometry.orthogonal(W)
    unpaired = (sharing & ~geometry.antipodal_pairs(W).any(-1)).any(-1)
    some = sharing.any(-1)
    early = some & (some.int().cumsum(0) <= 2)
    return some.any(0) & ~(early & unpaired).any(0)


def not_negative(W, b):
    """Represented features [..., n] whose bias [..., n] is 0 or positive."""
    return geometry.represented(W) & (b > -ENTRY_TOLERANCE)


def sparse_parts(W, b):
    """The parts of `all_shared`: {part: [...]}."""
    return {
        "superposition": ~geometry.orthogonal(W).any(-1).any(0),
        "interference": (geometry.positive_interference(W) > SPARSE_INTERFERENCE).all(0),
        "biases": ~not_negative(W, b).any(-1).any(0),
    }


def all_shared(W, b):
    """Of sparse W [D, ..., m, n], b [D, ..., n] every represented feature is in superposition, with
    positive interference and a negative bias."""
    return torch.stack(list(sparse_parts(W, b).values())).all(0)


def both_needed(relu, linear, m):
    """More features are stored than there are m dimensions only with sparse features AND the ReLU.

    relu, linear : numbers of features [D, ...] that a ReLU and a linear model store.
    """
    return (linear <= m).all(0) & (relu[0] <= m) & (relu[-1] > m)
