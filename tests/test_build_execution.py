"""Running and publishing notebooks, on throw-away projects with real kernels."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from common.build import execution

REPOSITORY = Path(__file__).resolve().parents[1]
NOTEBOOK = Path("01_section/example.ipynb")

pytestmark = pytest.mark.slow  # real kernels

# Everything a notebook can leave behind, and every trace of the run that has to be taken out.
EXAMPLE = [
    "VALUE = 7  # parameter",
    """
import os, sys, time, warnings
from pathlib import Path
sys.path.insert(0, "..")
from common.plots import style
out = Path(os.environ["SUPERPOSITION_OUTPUT"])
for folder in ("figures", "arrays", "data"):
    (out / folder).mkdir()
    (out / folder / f"made.{folder}").write_text(f"{VALUE}")
(out / "results.json").write_text(f'{{"value": {VALUE}}}')
(out / "results.tex").write_text(f"{VALUE}")
""",
    """
print("first", flush=True)
time.sleep(0.3)  # long enough for the stream to arrive in two pieces
print("second in", Path.cwd().name, "of", out)
sys.stderr.write("\\r 50%|#####     |\\r100%|##########|\\n")
warnings.warn("a warning")
object()
""",
]


def write_notebook(path: Path, sources: list[str], quick: dict | None = None) -> None:
    """A notebook that was never run; the first code cell is tagged `parameters`."""
    cells = [new_markdown_cell("# Title", id="title")]
    cells += [new_code_cell(text.strip(), id=f"code-{n}") for n, text in enumerate(sources)]
    cells[1].metadata["tags"] = ["parameters"]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"quick": quick} if quick else {}), path)


def write_project(root: Path, sources: list[str] = EXAMPLE) -> Path:
    """A project of one notebook with what an earlier run left beside it."""
    write_notebook(root / NOTEBOOK, sources, quick={"VALUE": 1})
    files = {
        "common/__init__.py": "",
        "common/plots/__init__.py": "",
        "common/plots/style.py": "from .. import geometry\nfrom common.data import X",
        "common/plots/unused.py": "",
        "common/geometry.py": "import common.shapes as s",
        "common/data.py": "X = 1",
        "common/shapes.py": "import numpy, common.missing",
        "common/unused.py": "",
        "common/missing.py": "",
        "01_section/figures/example/stale.png": "of a figure the notebook no longer makes",
        "01_section/figures/other/kept.png": "of another notebook",
        "01_section/results/example.json": "old",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def command(root: Path) -> dict:
    """What subprocess needs to run the example from the command line."""
    return {
        # -P: the project's own `common` in the working directory must not hide the runner's.
        "args": [sys.executable, "-P", "-m", "common.build.execution", str(NOTEBOOK)],
        "cwd": root,
        "env": os.environ | {"PYTHONPATH": str(REPOSITORY)},
        "text": True,
    }


def committed(root: Path) -> dict[str, bytes]:
    """Every file outside build/, with its content (and not what Python caches)."""
    files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    outside = [path for path in files if path.parts[0] != "build" and path.suffix != ".pyc"]
    return {str(path): (root / path).read_bytes() for path in outside}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A project after one full and one quick run."""
    root = write_project(tmp_path_factory.mktemp("published") / "a folder with spaces")
    execution.run(root, NOTEBOOK)
    after_full = committed(root)
    execution.run(root, NOTEBOOK, quick=True)
    return root, after_full


def test_everything_a_run_made_is_published(published):
    root, _ = published
    assert (root / "01_section/figures/example/made.figures").read_text() == "7"
    assert json.loads((root / "01_section/results/example.json").read_text()) == {"value": 7}
    assert (root / "01_section/results/example.tex").read_text() == "7"
    assert (root / "build/01_section/made.arrays").read_text() == "7"
    assert (root / "01_section/results/made.data").read_text() == "7"


def test_a_notebook_owns_its_figure_folder(published):
    root, _ = published
    assert not (root / "01_section/figures/example/stale.png").exists()
    assert (root / "01_section/figures/other/kept.png").exists()


def test_a_quick_run_stays_under_build(published):
    root, after_full = published
    assert committed(root) == after_full
    quick = root / "build/quick"
    assert (quick / "01_section/figures/example/made.figures").read_text() == "1"
    assert (quick / "01_section/results/example.tex").read_text() == "1"
    assert (quick / "01_section/made.arrays").read_text() == "1"
    assert (quick / "01_section/results/made.data").read_text() == "1"
    assert (quick / NOTEBOOK).is_file()
    assert (root / "build/01_section/made.arrays").read_text() == "7"
    assert (root / "01_section/results/made.data").read_text() == "7"


def test_published_notebook_holds_outputs_but_no_traces_of_the_run(published):
    root, _ = published
    text = (root / NOTEBOOK).read_text()
    cells = nbformat.reads(text, as_version=4).cells
    assert [cell.execution_count for cell in cells[1:]] == [1, 2, 3]
    stdout, stderr, result = cells[3].outputs
    assert stdout.text == "first\nsecond in 01_section of build/run/01_section/example\n"
    assert stderr.text.startswith("notebook_cell.py:5: UserWarning: a warning\n")
    assert result.data["text/plain"] == "<object at 0x0>"
    assert cells[1].metadata == {"tags": ["parameters"]}
    assert [cell.metadata for cell in cells if "tags" not in cell.metadata] == [{}, {}, {}]
    for trace in ("papermill", "duration", str(root), "ipykernel_"):
        assert trace not in text


def test_two_runs_give_the_same_bytes(published):
    root, after_full = published
    write_times = {name: (root / name).stat().st_mtime_ns for name in after_full}
    execution.run(root, NOTEBOOK)
    assert committed(root) == after_full
    # Equal files are not written again.
    assert {name: (root / name).stat().st_mtime_ns for name in after_full} == write_times


def test_dependency_file_names_the_imported_modules(published):
    root, _ = published
    modules = ["__init__", "data", "geometry", "missing"]
    modules += ["plots/__init__", "plots/style", "shapes"]
    files = [f"common/{name}.py" for name in modules]
    for build in ("build", "build/quick"):
        rules = (root / build / "stamps/01_section/example.d").read_text().splitlines()
        assert rules[0] == f"{build}/stamps/01_section/example.done: {' '.join(files)}"
        assert rules[1:] == [f"{file}:" for file in files]


def test_stamp_is_as_old_as_the_start_of_the_run(published):
    # An edit made while the notebook ran must be newer than the stamp, the notebook must not.
    root, _ = published
    stamp = (root / "build/stamps/01_section/example.done").stat().st_mtime_ns
    assert (root / NOTEBOOK).stat().st_mtime_ns <= stamp
    assert stamp <= (root / "build/stamps/01_section/example.d").stat().st_mtime_ns


def test_seconds_of_a_run_lie_beside_its_stamp(tmp_path):
    write_notebook(tmp_path / NOTEBOOK, ["VALUE = 7", "import time; time.sleep(1.5)"])
    start = time.monotonic()
    execution.run(tmp_path, NOTEBOOK)
    seconds = float((tmp_path / "build/stamps/01_section/example.seconds").read_text())
    assert 1.5 <= seconds <= time.monotonic() - start + 0.1  # written with one decimal


def test_a_run_uses_this_python_whatever_kernel_is_registered(tmp_path, monkeypatch):
    write_notebook(tmp_path / NOTEBOOK, ["VALUE = 7", "import sys; print(sys.executable)"])
    kernels = tmp_path / "data" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    spec = {
        "argv": ["/bin/false", "{connection_file}"],
        "display_name": "mine",
        "language": "python",
    }
    (kernels / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))  # before the environment's own
    execution.run(tmp_path, NOTEBOOK)
    (output,) = nbformat.read(tmp_path / NOTEBOOK, as_version=4).cells[2].outputs
    assert output.text.strip() == sys.executable


def test_failing_cell_is_reported_and_changes_nothing(tmp_path):
    failing = [*EXAMPLE[:2], "def f():\n    raise ValueError('no such angle')\n\nf()", "late = 1"]
    root = write_project(tmp_path, failing)
    before = committed(root)
    done = subprocess.run(**command(root), capture_output=True)
    assert done.returncode == 1
    report = done.stderr
    assert "01_section/example.ipynb did not finish" in report
    assert "code cell 3 of 4" in report
    assert "    def f():" in report
    assert report.count("ValueError: no such angle") == 2  # on top and at the end of the traceback
    assert "----> 4 f()" in report
    assert "\x1b" not in report
    assert "build/run/01_section/example/example.ipynb" in report
    assert "unchanged" in report
    assert (root / "build/run/01_section/example/example.ipynb").is_file()
    assert not (root / "build/stamps").exists()
    assert committed(root) == before


def test_cell_that_ends_the_kernel_is_a_failure(tmp_path):
    root = write_project(tmp_path, ["VALUE = 7", "import sys; sys.exit()", "late = 1"])
    with pytest.raises(execution.RunFailed, match="code cell 2 of 3"):
        execution.run(root, NOTEBOOK)


def test_edits_made_during_the_run_are_kept(tmp_path):
    append = "open('example.ipynb', 'a').write('\\n')"
    root = write_project(tmp_path, ["VALUE = 7", append])
    before = committed(root)
    with pytest.raises(execution.RunFailed, match="edited while it was running"):
        execution.run(root, NOTEBOOK)
    before[str(NOTEBOOK)] += b"\n"
    assert committed(root) == before


def test_quick_needs_its_metadata(tmp_path):
    write_notebook(tmp_path / NOTEBOOK, EXAMPLE)
    with pytest.raises(execution.RunFailed, match='has no "quick" entry'):
        execution.run(tmp_path, NOTEBOOK, quick=True)


@pytest.mark.parametrize("path", ["01_section/none.ipynb", "example.ipynb", "common/data.py"])
def test_path_that_is_no_notebook_is_refused(tmp_path, path):
    write_project(tmp_path)
    with pytest.raises(execution.RunFailed, match="is not a notebook: expected <section>/<name>"):
        execution.run(tmp_path, Path(path))


def test_unreadable_notebook_is_refused(tmp_path):
    write_project(tmp_path)
    (tmp_path / NOTEBOOK).write_text("<<<<<<< HEAD")
    with pytest.raises(execution.RunFailed, match="not a readable notebook"):
        execution.run(tmp_path, NOTEBOOK)


# --- interruptions -------------------------------------------------------------------------------

# The first run waits for ten minutes, in the kernel and in what is put for {where}.
WAITS_ONCE = """
import fcntl, time
from pathlib import Path
from joblib import Parallel, delayed
def locked(name):
    lock = open(f"{{name}}.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # held for as long as the process lives
    return lock
def wait(name):
    lock = locked(name)
    Path("started").touch()
    time.sleep(600)
if not Path("started").exists():
    lock = locked("kernel")
    {where}
"""
IN_PROCESSES = "Parallel(2)(delayed(wait)(name) for name in ('one', 'two'))"


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.05)


def is_unlocked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize(
    ("signum", "where"),
    [
        (signal.SIGINT, IN_PROCESSES),
        (signal.SIGTERM, IN_PROCESSES),
        (signal.SIGKILL, "wait('kernel too')"),  # processes end what they are at
    ],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_interrupted_run_changes_nothing_and_the_next_one_recovers(tmp_path, signum, where):
    write_notebook(tmp_path / NOTEBOOK, ["VALUE = 7", WAITS_ONCE.format(where=where)])
    before = (tmp_path / NOTEBOOK).read_bytes()
    runner = subprocess.Popen(**command(tmp_path), stderr=subprocess.PIPE)
    wait_for(lambda: (tmp_path / "01_section/started").exists())
    runner.send_signal(signum)
    _, report = runner.communicate(timeout=60)

    assert (tmp_path / NOTEBOOK).read_bytes() == before
    assert not (tmp_path / "build/stamps").exists()
    if signum == signal.SIGKILL:
        assert runner.returncode == -signum
    else:
        assert runner.returncode == 128 + signum
        assert f"Interrupted by {signum.name}" in report
        assert "code cell 2 of 2" in report
    locks = list(tmp_path.glob("01_section/*.lock"))
    wait_for(lambda: all(is_unlocked(lock) for lock in locks))  # no process is left behind

    execution.run(tmp_path, NOTEBOOK)
    assert (tmp_path / "build/stamps/01_section/example.done").exists()
    assert nbformat.read(tmp_path / NOTEBOOK, as_version=4).cells[2].execution_count == 2


@pytest.fixture
def heeded_interrupts():
    """SIGINT raises KeyboardInterrupt, also where the tests run in the background of a shell, which
    makes them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_signals_during_publishing_wait_until_it_is_complete():
    steps = []
    with pytest.raises(KeyboardInterrupt), execution.signals_held_back():
        signal.raise_signal(signal.SIGINT)
        steps.append("published")
    assert steps == ["published"]
