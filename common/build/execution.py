"""Run notebooks through papermill and publish what they made: all of it, or nothing.

    python -m common.build.execution [--quick] 01_introduction/introduction.ipynb ...

is called from the repository's root. Each notebook runs as a copy in a staging directory under
build/, with its own section folder as working directory. Only when every cell has succeeded do
its figures, results, arrays and finally the notebook itself replace the committed ones, so a
failure, Ctrl-C or a power cut leaves those as they were. `--quick` shrinks the experiment by the
parameters in the notebook's "quick" metadata and publishes under build/quick instead.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from papermill.exceptions import PapermillExecutionError

from common import OUTPUT_VARIABLE
from common.build import notebook
from common.build.publishing import Job, publish, write_stamp

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class RunFailed(Exception):
    """A notebook did not finish; the message is the report for the reader."""

    def __init__(self, report: str, status: int = 1):
        super().__init__(report)
        self.status = status


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM. A KeyboardInterrupt, because asyncio lets only that kind pass through."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.status = 128 + signum


class OwnKernel(AsyncKernelManager):
    """Starts this interpreter, whatever kernel the user has registered under the same name."""

    def __init__(self, **options):
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **options)


def run(root: Path, path: Path, quick: bool = False) -> None:
    """Run one notebook and publish its results; raises RunFailed with a report otherwise."""
    if path.suffix != ".ipynb" or len(path.parts) != 2 or not (root / path).is_file():
        raise RunFailed(f"{path} is not a notebook: expected <section>/<name>.ipynb in {root}")
    job = Job(root, path.parts[0], path.stem, quick)
    shutil.rmtree(job.staging, ignore_errors=True)
    job.staging.mkdir(parents=True)
    # The file system's own clock: whatever is edited from now on is newer than this run.
    started, clock = job.staging.stat().st_mtime_ns, time.monotonic()
    source = job.source.read_bytes()
    original = _parse(job, source)
    nb = _execute(job, _quick_parameters(job, original) if quick else None)

    notebook.clean(nb, root, known_ids={cell.get("id") for cell in original["cells"]})
    nbformat.write(nb, job.copy)
    dependencies = notebook.imported_modules(nb, root)
    if not quick and job.source.read_bytes() != source:
        raise RunFailed(
            f"{job} was edited while it was running, so the run was not published over the edits."
            f"\nWhat it made is in {job.staging.relative_to(root)}; run it again."
        )
    with signals_held_back():
        job.stamp.unlink(missing_ok=True)
        publish(job, started)
        write_stamp(job, dependencies, started, time.monotonic() - clock)


def _parse(job: Job, source: bytes) -> dict:
    try:
        return json.loads(source)
    except ValueError as error:
        raise RunFailed(f"{job} is not a readable notebook: {error}") from None


def _quick_parameters(job: Job, original: dict) -> dict:
    if "quick" not in original["metadata"]:
        raise RunFailed(
            f'{job} cannot run in quick mode: its notebook metadata has no "quick" entry.\n'
            'Add the parameters that shrink it, for example "quick": {"STEPS": 200}.'
        )
    return original["metadata"]["quick"]


def _execute(job: Job, parameters: dict | None) -> nbformat.NotebookNode:
    try:
        with _kernel_environment(job):
            nb = papermill.execute_notebook(
                job.source,
                job.copy,
                parameters,
                kernel_name=notebook.KERNELSPEC["name"],
                language=notebook.KERNELSPEC["language"],
                kernel_manager_class=OwnKernel,
                progress_bar={"desc": job.name, "leave": False} if sys.stderr.isatty() else False,
                cwd=job.source.parent,
                extra_arguments=["--log-level=CRITICAL"],  # the kernel's own chatter
            )
    except Interrupted as interrupt:
        raise RunFailed(_report(job, f"Interrupted by {interrupt}."), interrupt.status) from None
    except PapermillExecutionError as error:
        end = _ANSI.sub("", "\n".join(error.traceback)).splitlines()[-15:]
        text = "\n".join([f"{error.ename}: {error.evalue}", "", *end])
        raise RunFailed(_report(job, text)) from None
    except Exception as error:  # the kernel died, would not start, ...
        raise RunFailed(_report(job, f"{type(error).__name__}: {error}")) from error
    if any(cell.execution_count is None for cell in _code_cells(nb)):
        raise RunFailed(_report(job, "The cell ended the kernel; the cells after it did not run."))
    return nb


@contextmanager
def _kernel_environment(job: Job):
    """Set what the kernel inherits for the duration of a run."""
    saved = dict(os.environ)
    os.environ[OUTPUT_VARIABLE] = str(job.staging.resolve())
    # Under make -j2 two notebooks share the cores: their threads must not spin while they wait.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.pop("MPLBACKEND", None)  # the kernel's inline backend, whatever the shell prefers
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _code_cells(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]


def _report(job: Job, what_happened: str) -> str:
    """What the reader needs: which notebook, which cell, what happened, what is left."""
    lines = [f"{job} did not finish."]
    cells = _code_cells(nbformat.read(job.copy, as_version=4)) if job.copy.is_file() else []
    started = [cell for cell in cells if cell.metadata.papermill.start_time]
    if started:
        first_lines = started[-1].source.splitlines()[:8]
        lines += [f"It stopped in code cell {len(started)} of {len(cells)}:", ""]
        lines += [f"    {line}" for line in first_lines]
    lines += ["", what_happened, ""]
    lines.append(f"The partial copy is {job.copy.relative_to(job.root)}")
    lines.append("The committed notebook, its figures and its results are unchanged.")
    return "\n".join(lines)


@contextmanager
def signals_held_back():
    """Deliver SIGINT and SIGTERM only at the end, so that publishing is never cut in two."""
    held = []
    previous = {s: signal.signal(s, lambda signum, frame: held.append(signum)) for s in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    if held:
        signal.raise_signal(held[0])


def _interrupt(signum, frame):
    for each in SIGNALS:  # a second Ctrl-C must not stop the kernel from being shut down
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(signum)


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m common.build.execution", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small run, under build/quick")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="section/name.ipynb")
    options = parser.parse_args(arguments)
    for signum in SIGNALS:
        signal.signal(signum, _interrupt)
    try:
        for path in options.notebooks:
            _run_and_tell(path, options.quick)
    except RunFailed as failure:
        print(f"\n{failure}\n", file=sys.stderr)
        return failure.status
    except Interrupted as interrupt:
        print(
            f"\nInterrupted by {interrupt} outside of any cell; no file is half written.",
            file=sys.stderr,
        )
        return interrupt.status
    return 0


def _run_and_tell(path: Path, quick: bool) -> None:
    mode = "a quick run" if quick else "a full run"
    print(f"{path}: {mode} started", flush=True)
    start = time.monotonic()
    run(Path.cwd(), path, quick)
    print(f"{path}: done in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
