"""The model: shapes, formula, initialisation, packing invariance."""

import pytest
import torch

from common.model import ToyModel, authors_scale, xavier_scale


@pytest.mark.parametrize("hidden", ["linear", "relu"])
@pytest.mark.parametrize("output", ["linear", "relu"])
@pytest.mark.parametrize("tied", [True, False])
def test_forward_is_the_formula(hidden, output, tied, generator):
    model = ToyModel(5, 2, 3, hidden=hidden, output=output, tied=tied, generator=generator)
    with torch.no_grad():
        model.b.normal_(generator=generator)
        if not tied:
            model.W_out.normal_(generator=generator)
    x = torch.rand(3, 7, 5, generator=generator)
    result = model(x)
    assert result.shape == (3, 7, 5)
    for k in range(3):  # one instance and one input at a time, in numpy
        W, b = model.W[k].detach().numpy(), model.b[k].detach().numpy()
        W_out = W.T if tied else model.W_out[k].detach().numpy()
        for j in range(7):
            h = W @ x[k, j].numpy()
            h = h.clip(min=0) if hidden == "relu" else h
            z = W_out @ h + b
            z = z.clip(min=0) if output == "relu" else z
            assert result[k, j].detach().numpy() == pytest.approx(z, abs=1e-6)


def test_initial_scale_is_as_given_and_does_not_depend_on_the_stack(generator):
    for instances in (1, 2, 500):
        W = ToyModel(40, 20, instances, init_scale=0.3, generator=generator).W
        # The standard deviation of N normal draws has standard error 0.3 / sqrt(2 N).
        assert abs(W.std().item() - 0.3) < 5 * 0.3 / (2 * W.numel()) ** 0.5


def test_default_scale_is_xaviers_for_one_model(generator):
    W = ToyModel(40, 20, 50, generator=generator).W
    assert abs(W.std().item() / xavier_scale(40, 20) - 1) < 5 / (2 * W.numel()) ** 0.5


def test_xaviers_scale_is_torchs_rule_on_one_matrix():
    """The standard deviation of N normal draws has standard error s / sqrt(2 N)."""
    torch.manual_seed(0)
    W = torch.nn.init.xavier_normal_(torch.empty(300, 500))
    assert abs(W.std().item() / xavier_scale(500, 300) - 1) < 5 / (2 * W.numel()) ** 0.5


def test_authors_scale_is_torchs_rule_on_their_tensor():
    """sqrt(2 / (fan_in + fan_out)) with torch's own fans of a (instances, n, m) tensor."""
    for n, m, instances, published in ((5, 2, 10, 0.26), (20, 5, 7, 0.12)):
        fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(instances, n, m))
        assert authors_scale(n, m, instances) == pytest.approx((2 / sum(fans)) ** 0.5)
        assert authors_scale(n, m, instances) == pytest.approx(published, abs=0.005)


def test_the_first_instances_start_the_same_in_any_stack():
    small, large = (ToyModel(5, 2, k, generator=torch.Generator().manual_seed(1)) for k in (2, 9))
    assert torch.equal(small.W, large.W[:2])


def test_an_untied_model_starts_as_a_tied_one(generator):
    model = ToyModel(5, 2, 3, tied=False, generator=generator)
    assert torch.equal(model.W_out, model.W.transpose(1, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": "tanh"}, r"hidden must be one of \('linear', 'relu'\), got 'tanh'"),
        ({"output": "softmax"}, r"output must be one of \('linear', 'relu'\), got 'softmax'"),
        ({"init_scale": 0}, "init_scale must be positive and finite, got 0"),
        ({"init_scale": float("nan")}, "init_scale must be positive and finite, got nan"),
        ({"instances": 0}, "instances must be a whole number of at least 1, got 0"),
        ({"n_hidden": 1.5}, "n_hidden must be a whole number of at least 1, got 1.5"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ToyModel(**({"n_features": 5, "n_hidden": 2} | options))


def test_inputs_of_a_wrong_shape_are_named():
    with pytest.raises(ValueError, match=r"shape \[2, batch, 5\], got \[2, 7, 4\]"):
        ToyModel(5, 2, 2)(torch.zeros(2, 7, 4))


@pytest.mark.parametrize("tied", [True, False])
def test_a_stack_of_given_weights(tied, generator):
    W, b = torch.randn(3, 2, 4, generator=generator), torch.randn(3, 4, generator=generator)
    W_out = None if tied else torch.randn(3, 4, 2, generator=generator)
    model = ToyModel.from_weights(W.double(), b, W_out, hidden="relu", output="linear")
    x = torch.rand(3, 7, 4, generator=generator)
    decoder = W.mT if tied else W_out
    expected = (x @ W.mT).relu() @ decoder.mT + b[:, None]
    assert torch.allclose(model(x), expected, atol=1e-6)
    assert model.tied == tied and model.W.dtype == torch.float32
