"""Shared by all tests: determinism, and a clean drawing board."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from common.plots import style

matplotlib.use("Agg")


@pytest.fixture
def generator():
    """A seeded torch generator: statistical tests draw the same numbers every time."""
    return torch.Generator().manual_seed(20220914)


@pytest.fixture
def drawing():
    """The collection's style; figures are closed afterwards."""
    style.use_style()
    yield
    plt.close("all")
