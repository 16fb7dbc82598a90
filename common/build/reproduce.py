"""Build everything twice from clean, and compare every committed file byte for byte.

    python -m common.build.reproduce

copies the files that git knows, and new ones that it does not ignore, into build/reproduce/first
and build/reproduce/second, leaves out what the build has to make, and runs `make findings.pdf` in
each, with this folder's .venv. Every file of the two copies must then equal the other and the one
here. If all do, the times of the first build go into README.md.

What `make robustness` made is not made again: the builds read it, as they do here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from common.artifacts import ROOT
from common.build import times
from common.build.readme import rewrite

NEW = ("--others", "--exclude-standard")
# Set by a `make reproduce` around this: they would change how the builds run, or make them small.
FROM_OUTSIDE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "QUICK")


def listed(root, *options, tree=None):
    """The files that `git ls-files` with `options` lists in the folder `tree` (`root` itself).

    The index and the ignored names are those of `root`. Relative paths of files that exist.
    """
    tree = tree or root
    where = _git(root, "rev-parse", "--absolute-git-dir").strip()
    names = _git(tree, f"--git-dir={where}", "--work-tree=.", "ls-files", "-z", *options)
    return [name for name in names.split("\0") if (tree / name).is_file()]


def _git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"make reproduce needs a clone made by git; it says:\n{done.stderr}")
    return done.stdout


def is_made(name):
    """Whether the build makes this file from nothing. A notebook is made from its own sources."""
    path = Path(name)
    if times.OWN_TARGET in (path.stem, path.parent.name):
        return False
    return name == "FINDINGS.pdf" or "/figures/" in name or "/results/" in name


def copy(root, target, names):
    """Make the folder `target` from the files `names` of `root`, times and .venv included."""
    shutil.rmtree(target, ignore_errors=True)
    for name in names:
        if not is_made(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    (target / ".venv").symlink_to((root / ".venv").resolve())


def build(folder):
    """Run `make findings.pdf` in `folder`; whether that succeeded."""
    environment = {key: text for key, text in os.environ.items() if key not in FROM_OUTSIDE}
    print(f"\nBuilding in {folder}", flush=True)
    return subprocess.run(["make", "findings.pdf"], cwd=folder, env=environment).returncode == 0


def difference(name, root, first, second):
    """What is wrong with the file `name`, None when it is the same in all three folders."""
    paths = [folder / name for folder in (first, second, root)]
    one, two, here = (path.read_bytes() if path.is_file() else None for path in paths)
    if one != two:
        return "the two builds differ"
    if one is None:
        return "the builds do not make it"
    if here is None:
        return "the builds make it, and it is not here"
    return None if one == here else "the builds agree, and differ from the file here"


def reproduce(root):
    """Build twice and report; returns the exit status, 0 when everything is equal."""
    new = listed(root, *NEW)
    names = listed(root, "--cached") + new
    if new:
        print(f"Not committed yet, but built and compared as well: {', '.join(new)}")
    first, second = folders = [root / "build" / "reproduce" / name for name in ("first", "second")]
    for folder in folders:
        copy(root, folder, names)
    if not all(build(folder) for folder in folders):
        print("\nThat build failed, so nothing was compared.", file=sys.stderr)
        return 1
    names += [name for folder in folders for name in listed(root, *NEW, tree=folder)]
    found = {name: difference(name, root, first, second) for name in sorted(set(names))}
    wrong = {name: what for name, what in found.items() if what}
    if wrong:
        print(f"\n{len(wrong)} of {len(found)} files are not reproduced:")
        print("\n".join(f"  {name}: {what}" for name, what in wrong.items()))
        return 1
    print(f"\nAll {len(found)} files are equal in the two builds and here.")
    rewrite(root, lambda text: times.with_times(text, root, first / "build" / "stamps"))
    return 0


if __name__ == "__main__":
    sys.exit(reproduce(ROOT))
