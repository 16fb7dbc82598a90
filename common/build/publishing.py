"""Where the files of one notebook's run are, and how they take their final places.

Everything is made in a staging directory under build/ and moved, never copied, so that each file
is replaced in one step.
"""

import filecmp
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """Where one notebook's files are: what is read, the staging copy, and what gets replaced."""

    root: Path
    section: str
    name: str
    quick: bool

    def __str__(self) -> str:
        return f"{self.section}/{self.name}.ipynb"

    @property
    def source(self) -> Path:
        return self.root / self.section / f"{self.name}.ipynb"

    @property
    def build(self) -> Path:
        return self.root / "build" / ("quick" if self.quick else "")

    @property
    def staging(self) -> Path:
        return self.build / "run" / self.section / self.name

    @property
    def copy(self) -> Path:
        return self.staging / f"{self.name}.ipynb"

    @property
    def destination(self) -> Path:
        return (self.build if self.quick else self.root) / self.section

    @property
    def stamp(self) -> Path:
        return self.build / "stamps" / self.section / f"{self.name}.done"


def publish(job: Job, started: int) -> None:
    """Move what the run made to where it belongs; the notebook comes last."""
    figures = job.destination / "figures" / job.name
    made = {path.name for path in (job.staging / "figures").glob("*")}
    for name in sorted(made):
        _replace(job.staging / "figures" / name, figures / name)
    for old in figures.glob("*"):
        if old.name not in made:  # the folder is the notebook's own
            old.unlink()
    for suffix in (".json", ".tex"):
        target = job.destination / "results" / f"{job.name}{suffix}"
        if (job.staging / f"results{suffix}").is_file():
            _replace(job.staging / f"results{suffix}", target)
        else:
            target.unlink(missing_ok=True)
    for path in sorted((job.staging / "data").glob("*")):
        _replace(path, job.destination / "results" / path.name)
    for path in sorted((job.staging / "arrays").glob("*")):
        _replace(path, job.build / job.section / path.name)
    # For make, the notebook is as old as its stamp: an edit made during the run is newer.
    os.utime(job.copy, ns=(started, started))
    _replace(job.copy, job.destination / job.source.name)


def _replace(source: Path, target: Path) -> None:
    """Move `source` over `target` in one step, unless the same bytes are there already."""
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)


def write_stamp(job: Job, dependencies: list[str], started: int, seconds: float) -> None:
    """Tell make that the notebook is done, and on which modules that depends.

    The seconds it took lie beside the stamp, for `python -m common.build.times`.
    """
    job.stamp.parent.mkdir(parents=True, exist_ok=True)
    target = job.stamp.relative_to(job.root).as_posix()
    rules = [f"{target}: {' '.join(dependencies)}"]
    rules += [f"{path}:" for path in dependencies]  # so that a deleted module does not stop make
    job.stamp.with_suffix(".d").write_text("\n".join(rules) + "\n", encoding="utf-8")
    job.stamp.with_suffix(".seconds").write_text(f"{seconds:.1f}\n", encoding="utf-8")
    job.stamp.touch()
    os.utime(job.stamp, ns=(started, started))
