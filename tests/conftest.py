"""Shared by all tests: one thread, determinism, and a clean drawing board."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from common.plots import style

matplotlib.use("Agg")
# Tensors are small here. More threads would wait for each other, and for whatever else is running.
torch.set_num_threads(1)


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
