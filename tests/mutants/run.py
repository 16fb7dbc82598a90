"""Mistakes that a tired person could make, put into a copy of the tree one at a time: does a test
notice?

    make mutants
    python tests/mutants/run.py [WORD ...]    only those with a WORD in their list's name, their
                                              file, tests or reason

The lists beside this file hold the mistakes as data:

    [[mutant]]
    file = "common/data.py"
    find = "later = torch.mul(u, slope)"     must stand there exactly once
    put = "later = torch.mul(u, -slope)"
    tests = "tests/test_data.py"             files or node ids, which pass without the mistake
    why = "sign of the slope"

Of a notebook the sources of its cells are searched, and where none has it the raw file. A mistake
is killed when its tests fail, or do not come to an end. Whatever else happens is reported, and the
exit status is 1: a survivor, a `find` that is out of date, tests that cannot be collected.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2
LIMIT = 600  # seconds; tests that take longer are in an endless loop
PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")


def listed(root, words):
    """The mutants of all lists, in which one of the `words` occurs; all without any."""
    found = []
    for path in sorted((root / "tests/mutants").glob("*.toml")):
        for mutant in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
            text = " ".join([path.name, mutant["file"], mutant["tests"], mutant["why"]])
            if not words or any(word in text for word in words):
                found.append(mutant)
    return found


def copied(root, target):
    """The files that git knows or does not ignore, with their times."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


def run_tests(copy, tests, limit=LIMIT, **options):
    """pytest's exit status in a copy: 0 when all pass, 1 when some fail or take too long.

    No bytecode is written: Python takes it for that of any file of the same second and size.
    """
    variables = {"PYTHONDONTWRITEBYTECODE": "1", **options}
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            [*PYTEST, *tests], cwd=copy, env=os.environ | variables, timeout=limit, **silent
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode


def mutated(text, mutant):
    """`text` of a file with the mistake in it, and how often what it replaces was found."""
    find, put = mutant["find"], mutant["put"]
    if mutant["file"].endswith(".ipynb"):
        notebook = json.loads(text)
        sources = ["".join(cell["source"]) for cell in notebook["cells"]]
        if count := sum(source.count(find) for source in sources):
            for cell, source in zip(notebook["cells"], sources, strict=True):
                cell["source"] = source.replace(find, put).splitlines(keepends=True)
            return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", count
    return text.replace(find, put), text.count(find)


def judged(copy, mutant):
    """What becomes of a mutant in a copy, which is left as it was."""
    file, kept = copy / mutant["file"], copy.parent / f"{copy.name}.kept"
    if not file.is_file():
        return "STALE: no such file"
    text, count = mutated(file.read_text(encoding="utf-8"), mutant)
    if count != 1:
        return f"STALE: found {count} times"
    file.rename(kept)
    try:
        file.write_text(text, encoding="utf-8")
        # Compiled anew, and what was compiled of the true file stays.
        with tempfile.TemporaryDirectory() as cache:
            compiles = "numba" in text or "exact.jit" in text
            fresh = {"NUMBA_CACHE_DIR": cache} if compiles else {}
            status = run_tests(copy, mutant["tests"].split(), **fresh)
    finally:
        kept.replace(file)
    return {0: "SURVIVES", 1: "killed"}.get(status, f"BROKEN: pytest's exit status is {status}")


def main(root, words):
    """Try all mutants, or those with one of the `words`; returns the exit status."""
    mutants = listed(root, words)
    if not mutants:
        sys.exit(f"no mutant with any of {', '.join(words)}")
    tests = sorted({test for mutant in mutants for test in mutant["tests"].split()})
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        copies = [copied(root, Path(folder) / f"tree{k}") for k in range(AT_ONCE)]
        halves = [tests[k::AT_ONCE] or tests for k in range(AT_ONCE)]
        if any(pool.map(run_tests, copies, halves)):
            print("The tests do not pass as they are: python -m pytest", *tests)
            return 1
        free = SimpleQueue()
        for copy in copies:
            free.put(copy)

        def judge(mutant):
            copy = free.get()
            try:
                return judged(copy, mutant)
            finally:
                free.put(copy)

        answers = []
        for mutant, answer in zip(mutants, pool.map(judge, mutants), strict=True):
            print(f"{answer:9} {mutant['file']}: {mutant['why']}", flush=True)
            answers.append(answer)
    left = len(answers) - answers.count("killed")
    print(f"{len(answers)} mutants, {left} not killed")
    return min(left, 1)


if __name__ == "__main__":
    sys.exit(main(ROOT, sys.argv[1:]))
