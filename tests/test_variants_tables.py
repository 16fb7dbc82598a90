"""Tables of observations as inputs, and words as such a table."""

import pytest
import torch

from common.model import ToyModel
from common.training import Recipe, train
from common.variants.tables import (
    TableFeatures,
    correlations,
    linear_table_loss,
    shuffled,
    split,
    table_loss,
)
from common.variants.words import frequent_words, word_values

SHORT = Recipe(
    steps=50, batch=32, learning_rate=1e-2, weight_decay=0.0, cosine=True, skip_empty=False
)


@pytest.fixture
def x(generator):
    x = torch.rand(200, 5, generator=generator)
    return x * (torch.rand(200, 5, generator=generator) < 0.3)


def test_samples_are_rows_of_the_table(x, generator):
    data = TableFeatures(x).stacked(3)
    drawn = data.sample(40, generator)
    assert drawn.shape == (3, 40, 5)
    assert all((row == x).all(1).any() for row in drawn.reshape(-1, 5))
    assert not torch.equal(drawn[0], drawn[1])
    assert data.part(slice(1, 3)).sample(40, generator).shape == (2, 40, 5)


def test_bad_tables_are_refused(x):
    with pytest.raises(ValueError, match="values in"):
        TableFeatures(x - 1)


def test_training_on_a_table_lowers_its_loss(x):
    model = ToyModel(5, 3, 2, generator=torch.Generator().manual_seed(0))
    before = table_loss(model, x)
    train(model, TableFeatures(x), recipe=SHORT)
    assert (table_loss(model, x) < before).all()


def test_table_loss_of_the_identity_and_of_nothing(x):
    copy = ToyModel.from_weights(torch.eye(5)[None], torch.zeros(1, 5))
    nothing = ToyModel.from_weights(torch.zeros(1, 2, 5), torch.zeros(1, 5))
    assert table_loss(copy, x).item() == 0
    assert table_loss(nothing, x).item() == pytest.approx((x**2).sum(1).mean().item(), rel=1e-6)


def test_the_best_linear_model(x):
    """Its loss on its own rows is the sum of the smallest eigenvalues of their covariance."""
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.T.double(), correction=0))
    for m in range(6):
        expected = eigenvalues[: 5 - m].sum().item()
        assert linear_table_loss(x, x, m) == pytest.approx(expected, abs=1e-9)


def test_split_and_shuffle_keep_what_they_should(x):
    first, rest = split(x, 0.75, seed=0)
    assert (len(first), len(rest)) == (150, 50)
    assert torch.equal(torch.cat([first, rest]).sort(0).values, x.sort(0).values)
    mixed = shuffled(x, seed=0)
    assert torch.equal(mixed.sort(0).values, x.sort(0).values) and not torch.equal(mixed, x)


def test_correlations_and_how_shuffling_removes_them(generator):
    x = torch.rand(20_000, 1, generator=generator).expand(-1, 2).clone()
    x = torch.cat([x, torch.full((20_000, 1), 0.5)], 1)
    found = correlations(x)
    expected = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]]).double()
    assert torch.allclose(found, expected, atol=1e-5)
    assert correlations(shuffled(x, 1))[0, 1].abs() < 0.03


DOCUMENTS = [["a", "b", "b", "c"], ["a", "b"], ["a", "d", "d", "d"], ["a", "c"]]


def test_frequent_words_by_documents():
    assert frequent_words(DOCUMENTS, 3) == ["a", "b", "c"]
    assert frequent_words(DOCUMENTS, 2, densest=0.5) == ["b", "c"]
    with pytest.raises(ValueError, match="only 3 words"):
        frequent_words(DOCUMENTS, 4, densest=0.5)


def test_word_values_are_frequencies_scaled_to_one():
    values = word_values(DOCUMENTS, ["b", "d"])
    assert values.shape == (4, 2)
    assert values[:, 1].tolist() == [0, 0, 1, 0]
    assert values[:, 0].tolist() == pytest.approx([1, 1, 0, 0])
    assert word_values(DOCUMENTS, ["absent"]).abs().sum() == 0
