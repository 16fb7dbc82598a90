"""`make reproduce` on tiny projects: a Makefile, a few files and a git index, no notebooks run."""

import os
import subprocess

import pytest

from common.build import times
from common.build.reproduce import reproduce

# Takes the place of the real Makefile; recipes that do not depend on the folder are reproducible.
MAKEFILE = """
findings.pdf:
\t@mkdir -p 01_a/figures/one 01_a/results build/stamps/01_a
\t@echo figure > 01_a/figures/one/plot.png
\t@test -e 01_a/results/robustness.json
\t@echo 83.4 > build/stamps/01_a/one.seconds
\t@{recipe} > FINDINGS.pdf
"""
README = "one: <!--t:01_a/one-->0:01<!--/t-->, robust: <!--t:01_a/robustness-->?<!--/t-->\n"


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def git(root, *arguments):
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture(autouse=True)
def no_git_variables(monkeypatch):
    """Under a git hook they would name this repository."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path):
    """A function: the recipe of FINDINGS.pdf -> a project in which everything is up to date."""

    def make(recipe="echo paper"):
        for name, text in {
            "Makefile": MAKEFILE.format(recipe=recipe),
            ".gitignore": "/build\n/.venv\n",
            "README.md": README,
            "FINDINGS.pdf": "paper\n",
            "01_a/one.ipynb": "{}",
            "01_a/robustness.ipynb": "{}",
            "01_a/figures/one/plot.png": "figure\n",
            "01_a/results/robustness.json": "{}",
            ".venv/requirements.txt": "",
        }.items():
            write(tmp_path, name, text)
        os.utime(tmp_path / "Makefile", (1e9, 1e9))
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "add", ".")
        return tmp_path

    return make


def test_equal_builds_are_one_line_and_give_the_times(project, capfd):
    root = project()
    assert reproduce(root) == 0
    assert capfd.readouterr().out.endswith("\nAll 8 files are equal in the two builds and here.\n")
    assert (root / "README.md").read_text() == README.replace("0:01", "1:23")


def test_copies_keep_times_and_share_the_environment(project):
    root = project()
    reproduce(root)
    for name in ("first", "second"):
        folder = root / "build/reproduce" / name
        # So that make takes .venv to be newer than requirements.txt, as it is here.
        assert (folder / "Makefile").stat().st_mtime == 1e9
        assert (folder / ".venv").resolve() == root / ".venv"


def test_a_build_that_depends_on_its_folder_is_named(project, capfd):
    root = project("pwd")
    assert reproduce(root) == 1
    out = capfd.readouterr().out
    assert out.endswith("1 of 8 files are not reproduced:\n  FINDINGS.pdf: the two builds differ\n")
    assert (root / "README.md").read_text() == README


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("FINDINGS.pdf", "older\n"), "FINDINGS.pdf: the builds agree, and differ from the file"),
        (("01_a/figures/gone/old.png", ""), "01_a/figures/gone/old.png: the builds do not make"),
    ],
)
def test_what_is_committed_and_not_made_again_is_named(project, capfd, change, expected):
    root = project()
    write(root, *change)
    git(root, "add", ".")
    assert reproduce(root) == 1
    assert f"\n  {expected}" in capfd.readouterr().out


def test_what_is_made_and_not_here_is_named(project, capfd):
    root = project("echo more > 01_a/figures/one/more.png; echo paper")
    assert reproduce(root) == 1
    expected = "  01_a/figures/one/more.png: the builds make it, and it is not here\n"
    assert capfd.readouterr().out.endswith(f"1 of 9 files are not reproduced:\n{expected}")


def test_new_files_take_part_and_are_named(project, capfd):
    root = project()
    write(root, "02_b/new.ipynb", "{}")
    assert reproduce(root) == 0
    out = capfd.readouterr().out
    assert "Not committed yet, but built and compared as well: 02_b/new.ipynb\n" in out
    assert "All 9 files" in out
    assert (root / "build/reproduce/first/02_b/new.ipynb").is_file()


def test_a_deleted_file_does_not_stop_it(project, capfd):
    root = project()
    (root / "01_a/one.ipynb").unlink()
    (root / "README.md").write_text("")
    assert reproduce(root) == 0
    assert "All 7 files" in capfd.readouterr().out


def test_failing_build_is_told(project, capfd):
    assert reproduce(project("false")) == 1
    assert "That build failed, so nothing was compared." in capfd.readouterr().err


def test_builds_are_full_ones_whatever_make_stands_around(project, capfd, monkeypatch):
    monkeypatch.setenv("QUICK", "1")
    monkeypatch.setenv("MAKEFLAGS", "n")  # would make the inner make print and not run
    assert reproduce(project('echo "paper$$QUICK"')) == 0
    assert "All 8 files are equal" in capfd.readouterr().out


def test_without_git_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SystemExit, match="needs a clone made by git"):
        reproduce(tmp_path)


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0:00"), (59.6, "1:00"), (754.4, "12:34")])
def test_clock(seconds, text):
    assert times.clock(seconds) == text


def test_totals_are_written_when_everything_they_sum_was_measured(tmp_path):
    text = "<!--t:figures-->?<!--/t--> <!--t:quick-->?<!--/t--> <!--t:cores-->?<!--/t-->"
    for name in ("one", "two", "robustness"):
        write(tmp_path, f"01_a/{name}.ipynb", "")
    write(tmp_path, "build/stamps/01_a/one.seconds", "60.4\n")
    write(tmp_path, "build/quick/stamps/01_a/one.seconds", "1\n")
    write(tmp_path, "build/quick/stamps/01_a/two.seconds", "2\n")
    cores = {1: "1 core"}.get(os.cpu_count(), f"{os.cpu_count()} cores")
    expected = f"{{}} <!--t:quick-->0:03<!--/t--> <!--t:cores-->{cores}<!--/t-->"
    shown = times.with_times(text, tmp_path)
    assert shown == expected.format("<!--t:figures-->?<!--/t-->")
    # Robustness is measured with the others, but it is no part of the total.
    write(tmp_path, "build/stamps/01_a/two.seconds", "10.4\n")
    write(tmp_path, "build/stamps/01_a/robustness.seconds", "900\n")
    shown = times.with_times(text, tmp_path)
    assert shown == expected.format("<!--t:figures-->1:11<!--/t-->")
    assert times.with_times("<!--t:01_a-->?<!--/t-->", tmp_path) == "<!--t:01_a-->1:11<!--/t-->"


def test_nothing_measured_changes_nothing(tmp_path):
    write(tmp_path, "01_a/one.ipynb", "")
    text = "<!--t:01_a/one-->1:00<!--/t--> <!--t:figures-->9:00<!--/t--> <!--t:cores-->8<!--/t-->"
    assert times.with_times(text, tmp_path) == text


def test_a_marker_that_names_no_notebook_is_refused(tmp_path):
    with pytest.raises(ValueError, match="names '01_a/two' in <!--t:"):
        times.with_times("<!--t:01_a/two-->1:00<!--/t-->", tmp_path)
