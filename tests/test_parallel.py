"""Work spread over the cores: order, one thread each, failures, stopping early."""

import os
import subprocess
import sys
import threading
from itertools import repeat

import pytest
import torch

from common.parallel import cpu_count, in_processes, on_all_cores, one_thread


@pytest.fixture(autouse=True)
def two_threads():
    """What a notebook has on two cores, so that giving threads back can be told from not."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def square(x):
    return x * x


def refuse(x):
    raise ValueError(f"no {x}")


def test_one_thread_gives_the_others_back_also_after_a_failure():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="no 1"), one_thread():
        assert torch.get_num_threads() == 1
        refuse(1)
    assert torch.get_num_threads() == before


def test_threads_give_results_in_order_with_one_thread_each():
    before = torch.get_num_threads()
    found = list(on_all_cores(lambda x, y: (x - y, torch.get_num_threads()), range(9), [1] * 9))
    assert found == [(x - 1, 1) for x in range(9)]
    assert torch.get_num_threads() == before


def test_a_failure_in_a_thread_reaches_the_caller():
    with pytest.raises(ValueError, match="no 0"):
        list(on_all_cores(refuse, range(3)))


def test_parts_not_begun_are_dropped_when_the_caller_stops(monkeypatch):
    monkeypatch.setattr("common.parallel.cpu_count", lambda: 1)
    begun, go_on = [], threading.Event()

    def work(x):
        begun.append(x)
        if x:
            go_on.wait(30)
        return x

    results = on_all_cores(work, range(100))
    assert next(results) == 0
    results.close()
    go_on.set()
    assert len(begun) <= 3


@pytest.mark.slow
def test_processes_give_results_in_order():
    shift = 3
    assert in_processes(square, range(5)) == [0, 1, 4, 9, 16]
    assert in_processes(lambda x, y: x + y + shift, [1, 2], [10, 20]) == [14, 25]
    assert in_processes(lambda x, y: x + y, [1, 2], repeat(5)) == [6, 7]
    places = in_processes(lambda _: os.getpid(), range(4))
    assert cpu_count() == 1 or os.getpid() not in places


def test_a_process_has_one_core_for_everything_it_starts():
    def own_thread(_):
        return list(on_all_cores(lambda x: threading.get_ident(), range(3))), threading.get_ident()

    assert cpu_count() == 1 or all(
        idents == [own] * 3 for idents, own in in_processes(own_thread, range(2))
    )


def test_a_failure_in_a_process_reaches_the_caller():
    # One part fails: of several failures the first to happen is raised, and that is chance.
    def refuse_one(x):
        return refuse(x) if x == 1 else x

    with pytest.raises(ValueError, match="no 1"):
        in_processes(refuse_one, range(3))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_only_the_cores_the_process_may_use_are_counted():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from common.parallel import cpu_count; print(cpu_count())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1"]
