"""Tables of observations as inputs, and words as such a table."""

import sys

import pytest
import torch
from sklearn.decomposition import PCA

from common.model import ToyModel
from common.training import Recipe, train
from common.variants import words
from common.variants.tables import (
    TableFeatures,
    correlations,
    linear_table_loss,
    shuffled,
    split,
    table_loss,
)
from common.variants.words import frequent_words, paragraphs, word_values

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


def test_the_best_linear_model_is_fitted_to_the_rows_that_are_seen(x, generator):
    """Unseen rows of another law, against scikit-learn's principal components."""
    unseen = torch.rand(90, 5, generator=generator) ** 3 * torch.tensor([1, 0.2, 1, 0.1, 1])
    for m in (0, 2, 4):
        expected = unseen.double() - x.double().mean(0)
        if m:
            found = PCA(m).fit(x.double().numpy())
            answer = found.inverse_transform(found.transform(unseen.double().numpy()))
            expected = unseen.double() - torch.as_tensor(answer)
        loss = (expected**2).sum(1).mean().item()
        assert linear_table_loss(x, unseen, m) == pytest.approx(loss, rel=1e-9)


def test_every_row_is_drawn_as_often(x):
    """20 thousand draws of 4 rows: within 4 standard errors (false alarms in 1 of 4 thousand)."""
    drawn = TableFeatures(x[:4]).sample(20_000, torch.Generator().manual_seed(2))[0]
    counts = torch.stack([(drawn == row).all(1).sum() for row in x[:4]]) / 20_000
    assert (counts - 0.25).abs().max() < 4 * (0.25 * 0.75 / 20_000) ** 0.5
    assert torch.equal(TableFeatures(x).density, (x != 0).double().mean(0))


def test_the_loss_of_a_table_is_the_mean_over_all_its_rows(generator):
    """More rows than are looked at in one piece."""
    x = torch.rand(1500, 3, generator=generator) ** torch.linspace(1, 9, 1500)[:, None]
    nothing = ToyModel.from_weights(torch.zeros(2, 2, 3), torch.tensor([[0.0], [0.5]]).expand(2, 3))
    expected = [(x**2).sum(1).mean().item(), ((x - 0.5) ** 2).sum(1).mean().item()]
    assert table_loss(nothing, x).tolist() == pytest.approx(expected, rel=1e-5)


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


def test_a_word_has_the_value_1_at_a_frequency_that_few_documents_exceed():
    """One word in 1, 2, ..., 200 of 200 words: its quantile among the documents that have it."""
    documents = [["a"] * k + ["b"] * (200 - k) for k in range(1, 201)] + [["b"]] * 1000
    values = word_values(documents, ["a"])[:, 0]
    assert values[:200].tolist() == pytest.approx([min(k / 198.01, 1) for k in range(1, 201)])
    assert (values[:200] == 1).sum() == 2 and values[200:].sum() == 0


TEXT = """'''One two three four five six seven eight nine ten, of the module.

Too short.

>>> one two three four five six seven eight nine ten eleven
'''

class A:
    "One two three four five six seven eight nine ten, of a class x."
    one = "one two three four five six seven eight nine ten, of no docstring"

    def f(self):
        "One two three four five six seven eight nine ten, of the module."
"""


def test_paragraphs_are_the_prose_of_docstrings_each_once(tmp_path, monkeypatch):
    """Of a package made up here, with tests whose words do not count."""
    root = tmp_path / "a_package_to_read"
    for folder in (root, root / "tests"):
        folder.mkdir()
        (folder / "__init__.py").write_text(TEXT if folder == root else TEXT.replace("One", "Test"))
    monkeypatch.setattr(words, "PACKAGE", root.name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = paragraphs()
    start = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "of"]
    assert found == [[*start, "the", "module"], [*start, "class"]]
