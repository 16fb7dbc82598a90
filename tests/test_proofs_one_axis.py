"""The refutation on one axis: its closed forms against quadrature, sampling and the exact loss."""

import ast
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss

from common.exact import population_loss
from common.proofs import one_axis
from common.proofs.one_axis import CERTIFICATES, check, conjectured, loss, moments


def rational(generator, *, low=-2.0, high=2.0):
    """A random fraction of denominator 64, not 0."""
    numerator = generator.integers(round(64 * low), round(64 * high))
    return Fraction(int(numerator) or 1, 64)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_moments_by_quadrature(k):
    """Over all coordinates but the last by Gauss-Legendre; over that one split at the kink."""
    generator, (nodes, weights) = np.random.default_rng(k), leggauss(40)
    for _ in range(4):
        c = {j: rational(generator) for j in range(k)}
        t = rational(generator, low=-1, high=1)
        square, own = moments(c, t, 0 if k else None)
        if k == 0:
            assert square == max(t, 0) ** 2 and own == 0
            continue
        axes = np.meshgrid(*[(nodes + 1) / 2] * (k - 1), indexing="ij")
        share = np.prod(np.meshgrid(*[weights / 2] * (k - 1), indexing="ij"), axis=0)
        offset = float(t) + sum(float(c[j]) * axes[j] for j in range(k - 1))
        last = float(c[k - 1])
        kink = np.clip(-offset / last, 0, 1)
        found = np.zeros(2)
        for low, high in ((0 * kink, kink), (kink, 0 * kink + 1)):
            for node, weight in zip(nodes, weights, strict=True):
                x = (low + high) / 2 + (high - low) / 2 * node
                z = np.maximum(offset + last * x, 0)
                first = axes[0] if k > 1 else x
                part = share * (high - low) / 2 * weight
                found += [(part * z**2).sum(), (part * first * z).sum()]
        assert found == pytest.approx([float(square), float(own)], abs=2e-5)


def test_loss_is_the_exact_loss():
    generator = np.random.default_rng(1)
    for n in (1, 2, 3, 4):
        W, b = ([rational(generator, high=1.5, low=-1.5) for _ in range(n)] for _ in range(2))
        p = rational(generator, low=0.1, high=1.0)
        W_and_b = (torch.tensor([float(v) for v in part], dtype=torch.float64) for part in (W, b))
        W_float, b_float = W_and_b
        assert float(loss(W, b, p)) == pytest.approx(
            population_loss(W_float[None], b_float, float(p)).item(), rel=1e-12
        )


@pytest.mark.slow
@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_certificates_by_sampling(certificate):
    generator, count = np.random.default_rng(2), 100_000
    W, b = np.array(certificate.W, float), np.array(certificate.b, float)
    x = generator.random((count, len(W))) * (generator.random((count, len(W))) < certificate.p)
    error = ((x - np.maximum(np.outer(x @ W, W) + b, 0)) ** 2).sum(1)
    assert abs(error.mean() - float(check(certificate)[0])) < 4 * error.std() / count**0.5


def test_the_conjectured_value_is_that_of_its_two_models():
    for p in (Fraction(1, 10), Fraction(1, 2), Fraction(5, 7)):
        s2, pair = p / 3 - p**2 / 4, loss([Fraction(1), Fraction(-1)], [Fraction(0)] * 2, p)
        assert pair == p**2 / 3
        assert conjectured(5, p, m=2) == min(3 * s2, 2 * pair + s2)
    assert (conjectured(2, Fraction(4, 7))) == Fraction(4, 7) ** 2 / 3  # where both are equal
    tiny = Fraction(1, 10**6)  # a weight of nearly 0 with b = p/2 is a dropped feature
    dropped = loss([Fraction(1), tiny], [Fraction(0), Fraction(1, 4)], Fraction(1, 2))
    assert float(dropped) == pytest.approx(1 / 6 - 1 / 16, abs=1e-5)


def test_certificates_hold_and_name_exact_fractions(capsys):
    one_axis.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CERTIFICATES) == 3
    for line, certificate in zip(lines, CERTIFICATES, strict=True):
        found, value = check(certificate)
        assert f"{found} < {value}" in line and found < value
        assert Fraction(line.split(": ")[-1].split(" < ")[0]) == found


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_a_corrupted_certificate_is_noticed(certificate):
    for change in (
        {"W": [-certificate.W[0], *certificate.W[1:]]},
        {"b": [certificate.b[0] + Fraction(1, 5), *certificate.b[1:]]},
        {"p": Fraction(9, 10)},
    ):
        with pytest.raises(ValueError, match="does not hold"):
            check(replace(certificate, **change))


def test_it_shares_nothing():
    tree = ast.parse(Path(one_axis.__file__).read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert names <= set(sys.stdlib_module_names)
