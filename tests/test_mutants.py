"""The harness of `make mutants` on a project of one function: what bites, what does not, and what
is out of date."""

import json
import subprocess

import pytest
from mutants import run

TESTS = """
from sums import double

def test_that_bites():
    assert double(3) == 6

def test_that_does_not():
    assert double(0) == 0
"""


def mutant(find, put, tests="test_sums.py", file="sums.py"):
    return {"file": file, "find": find, "put": put, "tests": tests, "why": f"{put} instead"}


@pytest.fixture
def project(tmp_path):
    """A function that tries mutants on a small project and returns the exit status."""
    (tmp_path / "tests/mutants").mkdir(parents=True)
    (tmp_path / "sums.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "test_sums.py").write_text(TESTS)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    def attempt(*mutants, words=()):
        with (tmp_path / "tests/mutants/some.toml").open("w") as file:
            for one in mutants:
                rows = [f"{key} = '{text}'" for key, text in one.items()]
                print("[[mutant]]", *rows, sep="\n", file=file)
        return run.main(tmp_path, words)

    return attempt


@pytest.mark.slow
def test_all_killed(project, capsys):
    assert project(mutant("2 * x", "3 * x"), mutant("2 * x", "2 + x"), words=["3 *"]) == 0
    assert capsys.readouterr().out == "killed    sums.py: 3 * x instead\n1 mutants, 0 not killed\n"


@pytest.mark.slow
def test_what_is_not_killed_is_told(project, capsys):
    blind = "test_sums.py::test_that_does_not"
    status = project(
        mutant("2 * x", "3 * x", blind),
        mutant("x", "y"),
        mutant("2 * x", "2 * x)"),
        mutant("", "", file="gone.py"),
        mutant("2 * x", "3 * x"),  # the copy is as it was
    )
    assert status == 1
    answers = [line.split(" sums.py")[0] for line in capsys.readouterr().out.splitlines()]
    assert answers == [
        "SURVIVES ", "STALE: found 2 times", "BROKEN: pytest's exit status is 2",
        "STALE: no such file gone.py:  instead", "killed   ", "5 mutants, 4 not killed",
    ]  # fmt: skip


@pytest.mark.slow
def test_tests_that_fail_without_any_mistake_are_told(project, capsys):
    assert project(mutant("2 * x", "3 * x", "test_sums.py::test_that_is_gone")) == 1
    assert capsys.readouterr().out.startswith("The tests do not pass as they are")


@pytest.mark.slow
def test_an_endless_loop_is_noticed(tmp_path):
    (tmp_path / "test_loop.py").write_text("def test_loop():\n    while True:\n        pass\n")
    assert run.run_tests(tmp_path, ["test_loop.py"], limit=2) == 1


def test_a_word_that_selects_nothing_is_an_error(project):
    with pytest.raises(SystemExit, match="no mutant with any of nothing"):
        project(mutant("2 * x", "3 * x"), words=["nothing"])


def test_in_notebooks_sources_come_before_outputs():
    cell = {"cell_type": "code", "source": ["a = 1\n", "b = 2"], "outputs": [{"text": ["3\n"]}]}
    text = json.dumps({"cells": [cell]}, indent=1)
    found, count = run.mutated(text, mutant("1\nb", "4\nb", file="x.ipynb"))
    assert json.loads(found)["cells"][0]["source"] == ["a = 4\n", "b = 2"] and count == 1
    found, count = run.mutated(text, mutant("3\\n", "5\\n", file="x.ipynb"))
    assert json.loads(found)["cells"][0]["outputs"] == [{"text": ["5\n"]}] and count == 1
