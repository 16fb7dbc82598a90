"""Independent pieces of work, one a core at a time, and how far they are.

Threads for tensor operations, which let go of Python's lock; processes for everything else, and for
many whole trainings. Cores are those the process may use: joblib counts what its affinity and its
container allow.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import parent_process

import torch
from joblib import Parallel, cpu_count, delayed

from common import OUTPUT_VARIABLE

QUIET = 3  # seconds of work without a bar


@contextmanager
def one_thread():
    """Tensor operations on one thread only: faster for small ones, and the same on any machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def on_all_cores(function, *parts):
    """Yield function(part), as `map` does, for every part in order, each computed on one thread.

    Faster than sharing out every small tensor operation over the cores, and the results do not
    depend on how many cores there are. When the caller stops early, parts not begun are dropped.
    A single part is not worth a thread, and a process of `in_processes` has one core to itself.
    """
    parts = list(zip(*parts, strict=False))
    if len(parts) == 1 or parent_process():
        yield from (_on_one_thread(function, *part) for part in parts)
        return
    # A new thread starts with all cores, so each has to be told.
    pool = ThreadPoolExecutor(cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(lambda part: function(*part), parts)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def in_processes(function, *parts):
    """List of function(part), as `map` does, computed in as many processes as there are cores.

    The processes start once, which takes seconds, and wait for the next call. function and parts
    are sent to them, so they should be small. Where several parts fail, one failure is raised: the
    first to happen.
    """
    parts = list(zip(*parts, strict=False))
    task = delayed(partial(_on_one_thread, function))
    jobs = Parallel(n_jobs=cpu_count(), max_nbytes=None, return_as="generator")
    found = []
    with progress("parts", len(parts)) as done:
        for result in jobs(task(*part) for part in parts):
            found.append(result)
            done(1)
    return found


def _on_one_thread(function, *part):
    with one_thread():
        return function(*part)


@contextmanager
def progress(label, total):
    """Yield a function to call with the number of pieces, out of `total`, that are newly done.

    In a live notebook it draws a bar, once the work has taken some seconds, which goes away at the
    end. Anywhere else it does nothing: what make runs leaves no trace of it. Nor does it where
    there is one piece only.
    """
    if total < 2 or not watched():
        yield lambda count: None
        return
    from tqdm.auto import tqdm  # starts a thread, so only where it is wanted

    with tqdm(desc=label, total=total, delay=QUIET, leave=False) as bar:
        yield bar.update


def watched():
    """Whether somebody may be looking on: a notebook's kernel, and not one that make started."""
    if os.environ.get(OUTPUT_VARIABLE):
        return False
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    return hasattr(ipython and ipython.get_ipython(), "kernel")
