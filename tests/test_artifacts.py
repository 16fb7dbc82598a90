"""Figures, results and their TeX: deterministic bytes, names, errors, nothing half-written."""

import json
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from common import artifacts, parameters
from common.artifacts import ROOT, Output, table, verdict
from common.tex import source, tex_text


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setenv("SUPERPOSITION_OUTPUT", str(tmp_path))
    return Output("01_introduction/example")


def test_by_hand_everything_goes_to_build_interactive(monkeypatch):
    monkeypatch.delenv("SUPERPOSITION_OUTPUT", raising=False)
    folder = Output("01_introduction/example").folder
    assert folder == ROOT / "build" / "interactive" / "01_introduction" / "example"


def test_figures_are_png_and_pdf_with_the_same_bytes_every_time(output, tmp_path):
    def draw(name):
        fig, ax = plt.subplots()
        ax.imshow(np.arange(12).reshape(3, 4), rasterized=True)
        ax.set_title("title")
        output.save_figure(fig, name)
        plt.close(fig)
        return [(tmp_path / "figures" / f"{name}.{end}").read_bytes() for end in ("png", "pdf")]

    png, pdf = draw("one")
    assert [png, pdf] == draw("two")
    assert b"Software" not in png and b"atplotlib" not in png + pdf  # no version
    assert b"Date" not in pdf  # two files of one second would have the same


def test_arrays_have_the_same_bytes_every_time(output, tmp_path):
    for name in ("one", "two"):
        output.save_arrays(name, density=np.array([1.0, 0.1]), W=np.eye(2))
    files = [tmp_path / "arrays" / f"{name}.npz" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert np.load(files[0])["density"].tolist() == [1.0, 0.1]


def test_tables_read_back_with_their_units(output, tmp_path):
    density = np.array([0.1, 1 / 3])
    output.save_table("q_k", "a unit", density=density, features=[2, 3], shown=["0.30", "1.0"])
    file = tmp_path / "data" / "q_k.csv"
    assert file.read_text().startswith("# a unit\ndensity,features,shown\n0.1,2,0.30\n")
    read = np.genfromtxt(file, delimiter=",", names=True, skip_header=1)
    assert abs(read["density"] - density).max() < 1e-9
    with pytest.raises(ValueError):
        output.save_table("q_k", "a unit", density=[1], features=[2, 3])
    assert len(file.read_text().splitlines()) == 4  # the old one is whole


def test_only_names_of_arrays_may_hold_underscores(output, tmp_path):
    output.save_arrays("phase_n2_m1", density=np.ones(2))
    assert (tmp_path / "arrays" / "phase_n2_m1.npz").is_file()
    with pytest.raises(ValueError, match="lower-case words"):
        output.save_figure(plt.figure(), "phase_n2_m1")
    plt.close("all")


def test_animations_loop_and_keep_their_durations(output):
    frames = [Image.new("P", (8, 8), color) for color in (0, 1, 2)]
    path = output.save_animation(frames, "moving", [50, 50, 900])
    with Image.open(path) as gif:
        assert gif.n_frames == 3 and gif.info["loop"] == 0
        gif.seek(2)
        assert gif.info["duration"] == 900


def test_numbers_reach_json_and_tex(output, tmp_path):
    assert output.record("pentagon-angle", 72.0449, ".1f") == "72.0"
    assert output.record("offset", np.float64(-0.25), ".2f") == "-0.25"
    assert output.record("steps", 10_000, ",") == "10,000"
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["numbers"]["pentagon-angle"] == {"value": 72.0449, "text": "72.0"}
    lines = (tmp_path / "results.tex").read_text().splitlines()
    assert "\\defineresult{pentagon-angle}{72.0}" in lines
    assert "\\defineresult{offset}{$-$0.25}" in lines


def test_claims_reach_json_tex_and_the_ledger(output, tmp_path):
    output.claim("some-claim", paper="5 % of x_i", found="72° ± 1", verdict=verdict(True))
    assert json.loads((tmp_path / "results.json").read_text())["claims"] == {
        "some-claim": {"paper": "5 % of x_i", "found": "72° ± 1", "verdict": "holds"}
    }
    tex = (tmp_path / "results.tex").read_text()
    assert "\\defineclaim{some-claim}{5 \\% of x\\_i}{72\\textdegree{} $\\pm$ 1}{holds}" in tex
    assert "\\tallyclaim{paper}{holds}" in tex
    header, _, row = output.ledger().data.splitlines()
    assert header == "| claim | what is claimed | verdict |"
    assert row == "| `some-claim` | 5 % of x_i | **holds** |"


def test_verdicts():
    assert [verdict(True), verdict(False, in_part=True), verdict(False)] == [
        "holds",
        "holds in part",
        "does not hold",
    ]


@pytest.mark.parametrize(
    ("paper", "where"),
    [
        ("at 90 % all five features form a pentagon", "paper"),
        ("two features (n = 2): the extra one", "paper"),
        ("(common demonstration) five sparse features", "demonstrations"),
        ("(two-weight replication) windmills", "demonstrations"),
        ("(hidden-ReLU demonstration) interference", "demonstrations"),
        ("(expected) more neurons recover more", "expected"),
        ("(not in the paper) a fifth solution", "ours"),
    ],
)
def test_a_claim_comes_from_where_its_label_says(paper, where):
    assert source(paper) == where


def test_minus_signs_only_before_numbers():
    assert tex_text("from -1 to a-1, 10-20") == "from $-$1 to a-1, 10-20"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: Output("introduction"), "named \"section/name\", got 'introduction'"),
        (lambda o: o.record("Angle", 1.0), "lower-case words joined by hyphens, got 'Angle'"),
        (lambda o: o.record("angle", float("nan")), "'angle' must be finite, got nan"),
        (lambda o: [o.record("angle", 1.0) for _ in "ab"], "'angle' was recorded before"),
        (lambda o: o.claim("a", paper="", found="", verdict="perhaps"), "must be one of .*perhaps"),
        (lambda o: o.claim("a", paper="(ours) b", found="", verdict="holds"), "got '\\(ours\\)'"),
        (lambda o: o.claim("a", paper="", found="\u263a", verdict="holds"), "no LaTeX for"),
        (lambda o: o.save_figure(plt.Figure(), "../up"), "joined by hyphens"),
    ],
)
def test_bad_input_is_named(output, call, message):
    with pytest.raises(ValueError, match=message):
        call(output)


def test_a_failed_write_leaves_the_old_file(output, tmp_path):
    output.save_arrays("kept", a=np.ones(3))
    before = (tmp_path / "arrays" / "kept.npz").read_bytes()

    class Unwritable:
        def __array__(self, dtype=None, copy=None):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        output.save_arrays("kept", a=Unwritable())
    assert (tmp_path / "arrays" / "kept.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("at most 4.6e-12 %", r"at most $4.6 \times 10^{-12}$ \%"),
        ("2e+05 and 0e+00", r"$2 \times 10^{5}$ and 0"),
        ("0.9^i, W^T W", "0.9$^{i}$, W$^{T}$ W"),
        ("20^(-1)", "20$^{-1}$"),
        ("size-3 te-03st", "size-3 te-03st"),
    ],
)
def test_powers_are_raised(text, tex):
    assert tex_text(text) == tex


def test_show_prints_and_records_what_it_prints(output, capsys):
    output.show(
        "{} of {:.1f} and {gap_min:.2f}, {count}", 3, 0.25, gap_min=np.float64(1 / 3), count=7
    )
    assert capsys.readouterr().out == "3 of 0.2 and 0.33, 7\n"
    assert {name: number["text"] for name, number in output.numbers.items()} == {
        "gap-min": "0.33",
        "count": "7",
    }
    assert output.numbers["gap-min"]["value"] == 1 / 3  # not rounded
    with pytest.raises(ValueError, match="does not print 'unseen'"):
        output.show("{:.1f}", 1, unseen=2)


def test_a_table_is_markdown():
    assert table(("a", "b"), [(1, "x|y"), ("z", 2.5)]).data.splitlines() == [
        "| a | b |", "|---|---|", "| 1 | x\\|y |", "| z | 2.5 |"
    ]  # fmt: skip


def test_a_claim_is_shown_where_it_is_judged(output, monkeypatch):
    shown = []
    monkeypatch.setattr(artifacts, "display", lambda markdown: shown.append(markdown.data))
    output.claim("some-claim", paper="a wording", found="a number", verdict="holds in part")
    assert len(shown) == 1
    assert all(text in shown[0] for text in ("`some-claim`", "a wording", "a number", "in part"))


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A notebook run by hand, of a house with a published run of two parameters."""
    monkeypatch.delenv("SUPERPOSITION_OUTPUT", raising=False)
    monkeypatch.setattr(artifacts, "ROOT", tmp_path)
    results = tmp_path / "01_introduction" / "results"
    results.mkdir(parents=True)
    published = {"parameters": {"N_HIDDEN": 2, "DENSITIES": [1, 0.5], "SEED": 0}}
    (results / "example.json").write_text(json.dumps(published))
    return Output("01_introduction/example")


def test_by_hand_the_last_value_stands_and_an_error_leaves_nothing_behind(live):
    with pytest.raises(ValueError, match="no LaTeX for the character '\u263a'"):
        live.record("mood", "\u263a")
    assert live.record("mood", "good") == live.record("mood", "good")
    with pytest.raises(ValueError, match="no LaTeX"):
        live.claim("a", paper="x", found="\u263a", verdict="holds")
    for verdict_now in ("holds", "does not hold"):
        live.claim("a", paper="x", found="y", verdict=verdict_now)
    results = json.loads((live.folder / "results.json").read_text())
    assert results["numbers"]["mood"]["text"] == "good"
    assert results["claims"]["a"]["verdict"] == "does not hold"


def test_published_parameters_are_not_mentioned(live, monkeypatch):
    shown = []
    monkeypatch.setattr(artifacts, "display", shown.append)
    folder = live.folder
    live.check_parameters({"N_HIDDEN": 2, "DENSITIES": (1.0, 0.5), "SEED": 7, "torch": 1})
    assert (shown, live.folder) == ([], folder)


def test_other_parameters_are_named_and_claims_then_not_tested(live, monkeypatch):
    shown = []
    monkeypatch.setattr(artifacts, "display", lambda markdown: shown.append(markdown.data))
    live.check_parameters({"N_HIDDEN": 3, "DENSITIES": [1, 0.5], "SEED": 0, "NEW": 1})
    assert "N_HIDDEN = 3 (published: 2)" in shown[0] and "DENSITIES" not in shown[0]
    assert live.folder.name == "N_HIDDEN=3" and live.folder.name in shown[0]
    live.claim("a", paper="x", found="y", verdict="does not hold")
    assert live.claims["a"]["verdict"] == "not tested"
    assert "**not tested**" in live.ledger().data
    assert shown[-1] == shown[0]  # said again at the ledger


def test_in_a_run_by_make_parameters_are_kept_and_claims_tested(output, tmp_path):
    others = {"__name__": "x", "numpy": np, "Np": 2, "TABLE": {"a": np.sin}}
    output.check_parameters({"N_HIDDEN": 3, "SEED": 0} | others)
    output.claim("a", paper="x", found="y", verdict="holds")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["parameters"] == {"N_HIDDEN": 3, "SEED": 0}
    assert results["claims"]["a"]["verdict"] == "holds"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "N_HIDDEN must be 2, got 3"),
        ([0.5, 2.0], "DENSITIES must lie between 0.001 and 1, got 2"),
        ([], "DENSITIES must have at least one entry"),
        (["0.5"], "DENSITIES must be made of numbers, got '0.5'"),
        (True, "N_HIDDEN must be made of numbers, got True"),
    ],
)
def test_a_parameter_outside_its_range_is_refused_with_the_range(output, value, message):
    values = {"N_HIDDEN": 2, "DENSITIES": [1.0]} | {message.split()[0]: value}
    with pytest.raises(ValueError, match=message):
        output.check_parameters(values, N_HIDDEN=(2, 2), DENSITIES=(0.001, 1))


def test_a_parameter_that_only_papermill_knows_is_refused(live, monkeypatch):
    shell = SimpleNamespace(user_ns={"In": ["", "import torch", "# Parameters\nN_HIDEN = 3\n"]})
    monkeypatch.setattr(parameters, "get_ipython", lambda: shell)
    with pytest.raises(ValueError, match="no parameter 'N_HIDEN'; there are N_HIDDEN, DENSITIES"):
        live.check_parameters({"N_HIDDEN": 2, "N_HIDEN": 3})


def test_runs_with_many_changed_parameters_have_folders_of_their_own():
    changed = {f"PARAMETER_{k}": (0, 1) for k in range(9)}
    names = [parameters.folder_name(changed | {"LAST": (0, value)}) for value in (4, 8)]
    assert names[0] != names[1] and all(len(name) < 100 for name in names)
