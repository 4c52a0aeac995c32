"""Worker processes end with the work that they were started for, however that ends."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psutil
import pytest
from omnifuse.processes import cores, results, worker_pool

SCRIPT = """
import os, signal, sys, time
from omnifuse.processes import results, worker_pool

def work(_):
    os.write(1, b"working\\n")
    time.sleep(60)

if __name__ == "__main__":
    import polars  # handles interrupts in its own way

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the suite may run in the background of a shell

    try:
        with worker_pool(2) as pool:
            results([pool.submit(work, number) for number in range(4)])
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs cores that can be taken away")
def test_cores_are_those_that_a_process_may_use() -> None:
    code = "import os; from omnifuse.processes import cores; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    asked = subprocess.run([sys.executable, "-c", f"{code}; print(cores())"], check=True, stdout=subprocess.PIPE)
    assert asked.stdout.strip() == b"1" and cores() == len(os.sched_getaffinity(0))


def test_workers_are_prepared_and_give_results() -> None:
    with worker_pool(1, os.putenv, "OMNIFUSE_TEST", "1") as pool:
        assert pool.submit(pow, 2, 5).result() == 32


def test_results_come_in_order_and_the_first_failure_is_raised_at_once() -> None:
    with ThreadPoolExecutor(2) as threads:
        assert results([threads.submit(pow, 2, power) for power in range(5)]) == [1, 2, 4, 8, 16]
    endless: Future[None] = Future()
    failed: Future[None] = Future()
    failed.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        results([endless, failed])


def test_workers_end_at_once_when_their_work_fails() -> None:
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError), worker_pool(2) as pool:
        sleeping = pool.submit(time.sleep, 60)
        pool.submit(divmod, 1, 0).result()
    assert time.monotonic() - started < 30
    assert sleeping.exception() is not None


UNREAD_RESULT = """
import threading, time
from omnifuse.processes import worker_pool

reading = threading.Event()

def read_slowly():
    reading.set()
    time.sleep(1)

class Slow:
    def __reduce__(self):  # what the receiver calls to make it
        return read_slowly, ()

if __name__ == "__main__":
    try:
        with worker_pool(1) as pool:
            pool.submit(Slow)
            pool.submit(bytes, 1 << 24)  # more than fits into the pipe: being sent while nobody reads
            reading.wait()
            time.sleep(0.5)
            raise ZeroDivisionError
    except ZeroDivisionError:
        print("ended")
"""


def test_a_worker_that_sends_a_result_when_the_work_fails_does_not_hold_it_up(tmp_path: Path) -> None:
    script = tmp_path / "unread.py"
    script.write_text(UNREAD_RESULT)
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "ended\n"


HALF_A_RESULT = """
import inspect, os, signal, struct, time
from multiprocessing import active_children
from concurrent.futures.process import BrokenProcessPool
from omnifuse.processes import worker_pool

def killed_while_sending():
    frame = inspect.currentframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    pipe = frame.f_locals["result_queue"]._writer.fileno()
    os.write(pipe, struct.pack("!i", 1000) + b"not a thousand bytes")
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    try:
        with worker_pool(2) as pool:
            sleeping = pool.submit(time.sleep, 60)
            killed = pool.submit(killed_while_sending)
            {then}
    except {error} as error:
        print(type(error).__name__, type(sleeping.exception()).__name__)
"""
INTERRUPT = """while len(active_children()) == 2:
                time.sleep(0.01)
            raise KeyboardInterrupt"""


@pytest.mark.parametrize(
    ("then", "error"), [("killed.result()", "BrokenProcessPool"), (INTERRUPT, "KeyboardInterrupt")]
)
def test_half_a_result_of_a_worker_that_was_killed_is_not_waited_for(tmp_path: Path, then: str, error: str) -> None:
    """Neither by those who wait for it nor by an interrupt that comes before anybody has noticed."""
    script = tmp_path / "half.py"
    script.write_text(HALF_A_RESULT.format(then=then, error=error))
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == f"{error} BrokenProcessPool\n"


UNGUARDED = """
from omnifuse.processes import results, worker_pool

def work():
    with worker_pool(2) as pool:
        print(results([pool.submit(pow, 2, power) for power in range(3)]))

work()
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    """Each process would run the script again, and end over that: no memory ran out."""
    (tmp_path / "script.py").write_text(UNGUARDED)
    how = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120}
    ran = subprocess.run([sys.executable, "script.py"], **how)
    last = ran.stderr.strip().splitlines()[-1]
    assert ran.returncode == 1 and last.startswith("omnifuse.cache_schema.errors.OmniFuseError: No worker process")
    assert 'put its work under `if __name__ == "__main__":`' in last
    guarded = UNGUARDED.replace("\nwork()", '\nif __name__ == "__main__":\n    work()')
    (tmp_path / "script.py").write_text(guarded)
    assert subprocess.run([sys.executable, "script.py"], **how).stdout == "[1, 2, 4]\n"


def test_a_worker_that_is_killed_at_work_is_no_missing_guard() -> None:
    with pytest.raises(BrokenProcessPool), worker_pool(1) as pool:
        pool.submit(os._exit, 1).result()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_an_interrupt_from_the_keyboard_ends_everything_with_one_message(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True, **pipes) as parent:
        both_work = [parent.stdout.readline() for _ in range(2)]
        children = psutil.Process(parent.pid).children(recursive=True)
        os.killpg(parent.pid, signal.SIGINT)  # a terminal sends it to the whole group
        _, said = parent.communicate(timeout=30)
    assert both_work == ["working\n"] * 2
    assert said == "interrupted\n"
    _, alive = psutil.wait_procs(children, timeout=20)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
