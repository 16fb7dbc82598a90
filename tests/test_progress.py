"""Progress bars: in a live notebook only, and all of the work is told."""

import subprocess
import sys
from types import SimpleNamespace

import IPython
import nbformat
import pytest
import torch
import tqdm.auto
from nbclient import NotebookClient

from common import OUTPUT_VARIABLE, parallel
from common.data import SparseFeatures
from common.exact import minimise
from common.exact.branches import Model
from common.model import ToyModel
from common.training import Recipe, train

RECIPE = Recipe(
    steps=120, batch=32, learning_rate=1e-2, weight_decay=0.0, cosine=True, skip_empty=True
)


@pytest.fixture
def bars(monkeypatch):
    """A live kernel, and the bars drawn in it: (label, total, what is done of it)."""
    drawn = []

    class Bar:
        def __init__(self, desc, total, delay, leave):
            assert delay >= 1 and not leave
            drawn.append([desc, total, 0])
            self.mine = drawn[-1]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, count):
            self.mine[2] += count

    monkeypatch.delenv(OUTPUT_VARIABLE, raising=False)
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    return drawn


def work():
    """Everything that shows its progress."""
    train(ToyModel(3, 2, 2), SparseFeatures(3, 0.5), recipe=RECIPE)
    minimise(2, 1, torch.linspace(0.1, 0.9, 5))
    parallel.in_processes(abs, [-1, -2, -3])
    Model(2, 1, restarts=4).transitions([0.9, 0.8, 0.7])


@pytest.mark.slow
def test_a_live_notebook_shows_all_work_from_its_beginning_to_its_end(bars):
    work()
    assert {label for label, *_ in bars} == {"training", "minima", "parts", "transitions"}
    assert bars[0] == ["training", 240, 240]  # two models
    assert ["parts", 3, 3] in bars and ["transitions", 2, 2] in bars
    assert all(done == total for _, total, done in bars)


def test_one_piece_of_work_has_no_bar(bars):
    for total in (0, 1, 2):
        with parallel.progress("work", total) as done:
            done(total)
    assert bars == [["work", 2, 2]]


@pytest.mark.slow
def test_a_run_that_make_started_shows_nothing(bars, monkeypatch, tmp_path):
    monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
    work()
    assert not bars


@pytest.mark.slow
def test_outside_of_a_notebook_nothing_is_written():
    code = "from test_progress import work; work()"
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path += ['tests', '.']; {code}"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == (b"", b"")


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False])
def test_a_real_kernel(live, monkeypatch, tmp_path):
    """A bar appears where its cell is, also when threads move it; never in what make runs."""
    monkeypatch.setenv(OUTPUT_VARIABLE, "" if live else str(tmp_path))
    code = (
        "import time\nfrom common import parallel\nparallel.QUIET = 0.1\n"
        "with parallel.progress('work', 4) as done:\n"
        "    for _ in parallel.on_all_cores(lambda _: (time.sleep(0.2), done(1)), range(4)):\n"
        "        pass"
    )
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(nb, kernel_name="python3", timeout=120).execute()
    outputs = nb.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data"] * live
    assert not live or "work" in outputs[0].data["text/plain"]
