"""Linear outputs: the loss from the means and variances of the features alone."""

import torch


def feature_variance(density):
    """Variance p/3 - p^2/4 [...] of a feature of density p [...]: E x^2 = p/3, E x = p/2."""
    return density / 3 - density**2 / 4


def row_loss(A, b, p):
    """Loss [..., n] of each output b_i + sum_j A_ij x_j; A [..., n, n], b and p [..., n]."""
    deviation = torch.eye(A.shape[-1], dtype=A.dtype) - A
    bias = (deviation * (p / 2)[..., None, :]).sum(-1) - b
    return (deviation**2 * feature_variance(p)[..., None, :]).sum(-1) + bias**2
