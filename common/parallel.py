"""Independent pieces of work, one a core at a time.

Threads for tensor operations, which let go of Python's lock; processes for everything else, and for
many whole trainings. Cores are those the process may use: joblib counts what its affinity and its
container allow.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import torch
from joblib import Parallel, cpu_count, delayed

_one_of_many = False  # whether this process is one of those of `in_processes`


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
    One part after another in a process of `in_processes`, which has one core to itself.
    """
    if _one_of_many:
        yield from map(function, *parts)
        return
    # A new thread starts with all cores, so each has to be told.
    pool = ThreadPoolExecutor(cpu_count(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(function, *parts)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def in_processes(function, *parts):
    """List of function(part), as `map` does, computed in as many processes as there are cores.

    The processes start once, which takes seconds, and wait for the next call. function and parts
    are sent to them, so they should be small. Where several parts fail, one failure is raised: the
    first to happen.
    """
    task = delayed(partial(_on_one_core, function))
    return Parallel(n_jobs=cpu_count(), max_nbytes=None)(map(task, *parts))


def _on_one_core(function, *part):
    global _one_of_many
    _one_of_many = cpu_count() > 1  # else joblib calls this in the caller's process
    torch.set_num_threads(1)
    return function(*part)
