"""Shared by all tests: determinism."""

import matplotlib
import pytest
import torch

matplotlib.use("Agg")


@pytest.fixture
def generator():
    """A seeded torch generator: statistical tests draw the same numbers every time."""
    return torch.Generator().manual_seed(20220914)
