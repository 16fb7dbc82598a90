"""Every notebook runs from its first cell to its last, in quick mode.

The runs go through the runner into build/quick, stamps included, so a following
`make ... QUICK=1` has nothing left to compute.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__)
REPOSITORY = Path(__file__).resolve().parents[1]
PATHS = [path.relative_to(REPOSITORY) for path in sorted(REPOSITORY.glob("0*_*/*.ipynb"))]


def run(path):
    """Run a notebook in quick mode; the finished process, and whether the notebook is untouched."""
    before = (REPOSITORY / path).read_bytes()
    command = [sys.executable, "-m", "common.build.execution", "--quick", str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    return done, (REPOSITORY / path).read_bytes() == before


@pytest.fixture(scope="module")
def runs(request):
    """Runs of the notebooks asked for, two at a time: much of a quick run uses one core only."""
    chosen = [item.callspec.params["path"] for item in request.session.items if item.path == HERE]
    pool = ThreadPoolExecutor(2)
    yield {path: pool.submit(run, path) for path in chosen}
    pool.shutdown(cancel_futures=True)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_notebook_runs_in_quick_mode(path, runs):
    done, untouched = runs[path].result()
    assert done.returncode == 0, done.stderr
    assert (REPOSITORY / "build/quick" / path).is_file()
    assert untouched
