"""How long the notebooks take, for README.md.

    python -m common.build.times [STAMPS]

fills the <!--t:NAME--> markers of README.md from the seconds that the runner left beside its
stamps (build/stamps when none are named). Wall times differ from run to run, so ordinary runs
leave README.md alone: only this command and `make reproduce` write them. NAME is a notebook,
"section/name"; or one of

    figures    all notebooks that `make figures` runs, one after another
    01_...     those of one section
    quick      the same with QUICK=1, from build/quick/stamps
    cores      the number of processors of this machine

What was not measured keeps the text that stands there.
"""

import os
import sys
from pathlib import Path

from common.artifacts import ROOT
from common.build.readme import fill, rewrite

OWN_TARGET = "robustness"  # a notebook that only `make robustness` runs


def clock(seconds):
    """A duration as minutes:seconds, 83.4 -> "1:23"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def measured(root, stamps):
    """Notebook "section/name" -> its seconds in the folder `stamps`, None where it has none."""
    seconds = {}
    for path in sorted(Path(root).glob("0*_*/*.ipynb")):
        file = Path(stamps) / path.parent.name / f"{path.stem}.seconds"
        seconds[f"{path.parent.name}/{path.stem}"] = (
            float(file.read_text(encoding="utf-8")) if file.is_file() else None
        )
    return seconds


def total(seconds):
    """The sum over what `make figures` runs, None while one of them was not measured."""
    parts = [value for name, value in seconds.items() if name.split("/")[1] != OWN_TARGET]
    return None if None in parts else sum(parts)


def with_times(text, root=ROOT, stamps=None):
    """`text` with all times. Raises ValueError for a marker that names no notebook below `root`."""
    full = measured(root, stamps or Path(root) / "build" / "stamps")
    quick = measured(root, Path(root) / "build" / "quick" / "stamps")
    seconds = full | {"figures": total(full), "quick": total(quick)}
    for section in sorted({name.split("/")[0] for name in full}):
        within = {name: value for name, value in full.items() if name.startswith(f"{section}/")}
        seconds[section] = total(within)
    values = {name: None if value is None else clock(value) for name, value in seconds.items()}
    if any(value is not None for value in seconds.values()):
        cores = os.cpu_count()
        values["cores"] = f"{cores} core" + "s" * (cores != 1)
    return fill(text, "t", {"cores": None} | values)


if __name__ == "__main__":
    stamps = sys.argv[1] if len(sys.argv) > 1 else None
    rewrite(ROOT, lambda text: with_times(text, stamps=stamps))
