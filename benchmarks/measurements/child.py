"""A process that is measured: `measure.Child` starts it and asks; every answer is one line of JSON.

python -m measurements.child MODULE:NAME
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

CHILDREN = resource.RUSAGE_CHILDREN


def main() -> None:
    """Answer what stands on standard input, line by line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    made: Any = None
    for line in sys.stdin:
        method, arguments = json.loads(line)
        taken, given = _measured(getattr(made, method) if method else _target, arguments)
        made = made if method else given
        answers.write(json.dumps({**taken, "value": given if _is_json(given) else None}) + "\n")
        answers.flush()


def _target(**arguments: Any) -> Any:
    module, _, name = sys.argv[1].partition(":")
    return getattr(import_module(module), name)(**arguments)


def _measured(function: Callable[..., Any], arguments: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    begin, before = time.perf_counter(), cpu_seconds()
    given = function(**arguments)
    seconds, cpu = time.perf_counter() - begin, cpu_seconds() - before
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak_mib()}, given


def cpu_seconds() -> float:
    """Return the CPU seconds, user and system, of this process and of those it started that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mib() -> int:
    """Return the peak memory of this process, or of the largest that it started and that has ended.

    The system's own figure begins with that of the process which started this one; Linux tells this one's apart.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    own = own or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
    return max(*own, resource.getrusage(CHILDREN).ru_maxrss) // 1024


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | list | dict)


if __name__ == "__main__":
    main()
