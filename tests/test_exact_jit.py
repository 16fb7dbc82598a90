"""The cache of compiled functions, shared by several files."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.exact import jit

CALLER = """
from common.exact.jit import compiled
from inner import inner

@compiled
def outer(x):
    return 2 * inner(x)

print(outer(1.0), sum(outer.stats.cache_hits.values()))
"""
INNER = """
from common.exact.jit import compiled

@compiled
def inner(x):
    return x + {}
"""


@pytest.mark.slow
def test_an_edit_in_the_file_of_what_is_called_is_noticed(tmp_path):
    """With numba's own cache the third line is 4.0: the caller's file is as it was."""
    exact = tmp_path / "common" / "exact"
    exact.mkdir(parents=True)
    (exact / "jit.py").write_text(Path(jit.__file__).read_text())
    (exact / "caller.py").write_text(CALLER)
    printed = []
    for added in (1, 1, 2):
        (exact / "inner.py").write_text(INNER.format(added))
        command = [sys.executable, "common/exact/caller.py"]
        paths = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(command, cwd=tmp_path, env=paths, check=True, capture_output=True)
        printed.append(run.stdout.decode().split())
    assert printed == [["4.0", "0"], ["4.0", "1"], ["6.0", "0"]]
