"""Checks of arguments that several modules take. Each raises ValueError, naming the bad value."""

import math
from contextlib import suppress
from numbers import Integral

import torch

ACTIVATIONS = ("linear", "relu")


def check_count(value, name):
    """`value` as an int, after checking that it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def check_positive(value, name):
    """`value`, after checking that it is a positive finite number."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return value


def check_activation(name, role):
    """`name`, after checking that it is one of the two activations."""
    if name not in ACTIVATIONS:
        raise ValueError(f"{role} must be one of {ACTIVATIONS}, got {name!r}")
    return name


def check_density(density):
    """`density` as a float64 tensor, after checking that every entry lies in (0, 1]."""
    density = torch.as_tensor(density, dtype=torch.float64)
    wrong = ~((density > 0) & (density <= 1))  # also true for NaN
    if wrong.any():
        raise ValueError(f"density must lie in (0, 1], got {density[wrong][0].item():g}")
    return density


def check_importance(importance, batch, n_features):
    """`importance` as float64 [*batch, n]; all 1 when None.

    Takes [n] or anything that broadcasts to [*batch, n], with finite entries >= 0.
    """
    if importance is None:
        return torch.ones(*batch, n_features, dtype=torch.float64)
    importance = torch.as_tensor(importance, dtype=torch.float64)
    wrong = ~(torch.isfinite(importance) & (importance >= 0))
    if wrong.any():
        raise ValueError(f"importance must be finite and >= 0, got {importance[wrong][0].item():g}")
    if importance.dim() and importance.shape[-1] == n_features:
        with suppress(RuntimeError):
            return importance.expand(*batch, n_features)
    shapes = f"{[n_features]} or {[*batch, n_features]}" if batch else f"{[n_features]}"
    raise ValueError(f"importance must have shape {shapes}, got {list(importance.shape)}")


def check_penalty(penalty, cells):
    """`penalty` as float64 [*cells], after checking that every entry is finite and >= 0."""
    penalty = torch.as_tensor(penalty, dtype=torch.float64)
    wrong = ~(torch.isfinite(penalty) & (penalty >= 0))
    if wrong.any():
        raise ValueError(f"penalty must be finite and >= 0, got {penalty[wrong][0].item():g}")
    try:
        return penalty.expand(cells)
    except RuntimeError:
        shapes = f"{list(cells)}, got {list(penalty.shape)}"
        raise ValueError(f"penalty must be a number or have shape {shapes}") from None


def check_finite(value, name):
    """`value` as a float64 tensor, after checking that every entry is finite."""
    value = torch.as_tensor(value, dtype=torch.float64)
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, got {value[~torch.isfinite(value)][0].item()}")
    return value


def check_feature_density(density, batch, n, per_feature=False):
    """The density of every feature, float64 [*batch, n].

    A density belongs to all features of an instance: a number or what broadcasts to [*batch]. With
    `per_feature` the last axis, of length n, is that of the features, and the others broadcast.
    """
    p = check_density(density)
    if not per_feature:
        wanted = f"{list(batch)} (or, with per_feature=True, {[*batch, n]})"
        p = p[..., None]
    elif p.dim() and p.shape[-1] == n:
        wanted = f"{[*batch, n]}"
    else:
        raise ValueError(f"densities per feature must have shape [..., {n}], got {list(p.shape)}")
    try:
        return p.expand(*batch, n)
    except RuntimeError:
        shape = list(p.shape if per_feature else p.shape[:-1])
        raise ValueError(f"density must be a number or have shape {wanted}, got {shape}") from None
