"""Every notebook runs from its first cell to its last, in quick mode.

The runs go through the runner into build/quick, stamps included, so a following
`make ... QUICK=1` has nothing left to compute.
"""

from pathlib import Path

import pytest

from common.build import execution

REPOSITORY = Path(__file__).resolve().parents[1]
PATHS = [path.relative_to(REPOSITORY) for path in sorted(REPOSITORY.glob("0*_*/*.ipynb"))]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_notebook_runs_in_quick_mode(path):
    before = (REPOSITORY / path).read_bytes()
    execution.run(REPOSITORY, path, quick=True)
    assert (REPOSITORY / "build/quick" / path).is_file()
    assert (REPOSITORY / path).read_bytes() == before
