"""README.md stays true: its numbers and its ledger are those of the committed results, and
every notebook is on its map. tests/test_github.py follows its links."""

import json
import re

import pytest

from common.artifacts import ROOT
from common.build.readme import (
    all_claims,
    all_numbers,
    fill,
    refreshed,
    rewrite,
    tally,
    with_ledger,
)
from common.build.times import with_times

# The claims of the paper's introduction and of its sections 2 and 3.
PAPER_CLAIMS = {
    "intro-dense", "intro-antipodal", "intro-pentagon", "intro-linear", "basic-linear",
    "basic-dense", "basic-order", "basic-pairs", "basic-count", "basic-sparse", "basic-scale",
    "math-linear", "math-expansion", "math-free", "phase-n2", "phase-n3", "phase-sharp",
    "phase-order", "phase-agree",
}  # fmt: skip
README = (ROOT / "README.md").read_text(encoding="utf-8")


NUMBER = re.compile(r"<!--r:([a-z0-9-]+)-->(.*?)<!--/r-->")


# --- numbers -------------------------------------------------------------------------------------


def test_numbers_and_ledger_are_those_of_the_committed_results():
    assert refreshed(README) == README
    assert len(NUMBER.findall(README)) > 20


def test_the_tally_counts_the_rows_of_the_ledger_on_the_page():
    """Read off the page itself: claims by their label and verdict, numbers by their markers."""
    rows = re.findall(r"^\| \[`.*?\| (\([^)]*\))?.*\*\*(.*)\*\* \|$", README, re.MULTILINE)
    labels = {
        "paper": [""],
        "demonstrations": [
            "(common demonstration)", "(two-weight replication)", "(hidden-ReLU demonstration)",
        ],
        "expected": ["(expected)"],
        "ours": ["(not in the paper)"],
    }  # fmt: skip
    expected = {"ledger-claims": len(rows)}
    for where, names in labels.items():
        verdicts = [verdict for label, verdict in rows if label in names]
        expected[f"ledger-{where}"] = len(verdicts)
        for verdict in ("holds", "holds in part", "does not hold"):
            name = f"ledger-{where}-{verdict.replace(' ', '-')}"
            expected[name] = verdicts.count(verdict)
    shown = {name: int(text) for name, text in NUMBER.findall(README) if name in tally()}
    assert shown == expected
    assert sum(expected[f"ledger-{where}"] for where in labels) == len(rows)


def test_a_stale_number_or_claim_is_put_right():
    name, text = NUMBER.search(README).groups()
    stale = README.replace(f"<!--r:{name}-->{text}<", f"<!--r:{name}-->{text}0<")
    assert stale != README
    assert refreshed(stale) == README
    claim = re.search(r"\*\*(holds|does not hold)\*\* \|$", README, re.MULTILINE)
    stale = README[: claim.start()] + "**perhaps** |" + README[claim.end() :]
    assert refreshed(stale) == README


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "about <!--r:phase-none-->9<!--/r--> %",
            "names 'phase-none' in <!--r:...-->: there is no",
        ),
        ("about <!--r:a-->9 %", "<!--r:NAME-->...<!--/r--> of README.md is incomplete"),
        ("about 9<!--/r--> %", "is incomplete"),
        ("<!--r:a-->1 and <!--r:a-->2<!--/r-->", "is incomplete"),
    ],
)
def test_bad_markers_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        fill(text, "r", {"a": "1"})


def test_only_markers_of_the_kind_are_filled_wherever_they_stand():
    text = "| a | **<!--r:x-->1<!--/r-->** | <!--r:x--><!--/r--> <!--t:x-->5<!--/t--> |"
    expected = "| a | **<!--r:x-->−2<!--/r-->** | <!--r:x-->−2<!--/r--> <!--t:x-->5<!--/t--> |"
    assert fill(text, "r", {"x": "−2"}) == expected
    assert fill(text, "r", {"x": None}) == text


def test_markers_stand_where_github_hides_them():
    # At the start of a line a comment turns the line into HTML, in a block of code it is shown.
    assert re.findall(r"^[ >*-]*<!--[rt]:", README, re.MULTILINE) == []
    code = re.findall(r"^```.*?^```|`[^`\n]+`", README, re.MULTILINE | re.DOTALL)
    assert len(code) > 10
    assert [block for block in code if "<!--" in block] == []


def test_a_name_recorded_by_two_notebooks_is_refused(tmp_path):
    results = tmp_path / "01_a" / "results"
    results.mkdir(parents=True)
    for name in ("one", "two"):
        recorded = {"notebook": f"01_a/{name}", "numbers": {"x": {"text": "1"}}, "claims": {}}
        (results / f"{name}.json").write_text(json.dumps(recorded))
    with pytest.raises(ValueError, match="'x' is recorded twice, by 01_a/one and 01_a/two"):
        all_numbers(tmp_path)


def test_missing_ledger_markers_are_named():
    with pytest.raises(ValueError, match="must hold the lines"):
        with_ledger("no markers", "")


def test_the_file_is_replaced_only_when_it_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("old")
    before = readme.stat().st_ino
    rewrite(tmp_path, lambda text: text)
    assert readme.stat().st_ino == before
    rewrite(tmp_path, lambda text: text + " and new")
    assert readme.read_text() == "old and new"
    assert list(tmp_path.iterdir()) == [readme]


# --- the map, links and pictures -----------------------------------------------------------------


def test_every_notebook_is_on_the_map_with_a_picture_of_its_own_and_its_time():
    for path in sorted(ROOT.glob("0*_*/*.ipynb")):
        section, name = path.parent.name, path.stem
        row = rf"^\| .*src=\"{section}/figures/{name}/.*\]\({section}/{name}\.ipynb\)"
        time = rf".*<!--t:{section}/{name}-->.+<!--/t--> \|$"
        assert re.search(row + time, README, re.MULTILINE), path


def test_times_name_notebooks(tmp_path):
    # Without measurements every marker keeps its text; one of a notebook that is gone is an error.
    assert with_times(README, ROOT, stamps=tmp_path).count("<!--t:") == README.count("<!--t:")


# --- claims --------------------------------------------------------------------------------------


def test_every_claim_of_the_paper_has_a_row():
    rows = [re.match(r"\[`(.+?)`\]", label)[1] for label, _ in all_claims()]
    assert sorted(set(rows)) == sorted(rows)
    assert set(rows) >= PAPER_CLAIMS


def test_the_write_up_reads_the_results_of_every_notebook():
    """It lists the claims it reads, so a new one needs no line of its own."""
    tex = (ROOT / "FINDINGS.tex").read_text(encoding="utf-8")
    read = re.findall(r"^\\input\{(0[^}]+)\}", tex, re.MULTILINE)
    notebooks = sorted(path.relative_to(ROOT) for path in ROOT.glob("0*_*/*.ipynb"))
    assert sorted(read) == [f"{path.parent}/results/{path.stem}.tex" for path in notebooks]
    assert tex.count("\\claimrows\n\\end{ledger}") == 1


@pytest.mark.slow
def test_the_python_of_the_readme_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, {"__name__": "__main__"})
    means = [float(m) for m in re.findall(r"\(tensor\(\[([\d.]+)", capsys.readouterr().out)]
    # A model that outputs 0 has 5 p/3.
    assert len(means) == 2 and all(mean < 0.9 * 5 * 0.1 / 3 for mean in means)
