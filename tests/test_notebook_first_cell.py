"""The first cell of every notebook finds the repository, wherever the kernel starts."""

import sys

import nbformat
import pytest

from common.artifacts import ROOT


def first_cells():
    """The first code cell of each notebook; each different one once."""
    notebooks = [nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("0*_*/*.ipynb"))]
    return {next(c.source for c in nb.cells if c.cell_type == "code") for nb in notebooks}


@pytest.fixture
def found(tmp_path, monkeypatch):
    """A function: (kernel folder, names the kernel knows): the cell must find the root.

    Folders are those of a made-up clone, whose path has a space in it.
    """
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    clone = tmp_path / "my clone"
    for name in ("01_section", "build/quick", "common"):
        (clone / name).mkdir(parents=True)
    (clone / "common/artifacts.py").touch()

    def run(folder, **known):
        monkeypatch.chdir(clone / folder)
        monkeypatch.setattr(sys, "path", [])
        (cell,) = first_cells()
        exec(cell, known)
        assert sys.path == [str(clone)]

    return run


def test_all_notebooks_have_the_same_first_cell():
    assert len(first_cells()) == 1


@pytest.mark.parametrize("folder", [".", "01_section", "build/quick"])
def test_from_any_folder_of_the_clone(found, folder):
    found(folder)


def test_from_elsewhere_where_the_notebooks_own_path_is_known(found, tmp_path, monkeypatch):
    notebook = str(tmp_path / "my clone/01_section/one.ipynb")
    found("/", __vsc_ipynb_file__=notebook)  # VS Code
    monkeypatch.setenv("JPY_SESSION_NAME", notebook)  # Jupyter's server
    found("/")


def test_a_notebook_without_its_repository_says_what_to_do(found, tmp_path):
    with pytest.raises(AssertionError, match=r"(?s)needs the repository.*`git clone`"):
        found(tmp_path, __vsc_ipynb_file__=str(tmp_path / "one.ipynb"))
