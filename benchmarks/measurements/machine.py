"""The machine: what it is, and what it can do at most."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

SIDE = 2048
"""Rows and columns of the matrices whose product tells the peak."""

COPIED_MIB, WRITTEN_MIB, READ_BYTES = 512, 512, 8 << 20

PACKAGES = ("omnifuse", "torch", "torchvision", "transformers", "numpy", "polars", "zarr", "pillow")


class Matmul:
    """The peak rate of matrix products in a precision."""

    def __init__(self, precision: str, device: str = "cpu") -> None:
        import torch

        self._torch, self._device = torch, device
        self._matrix = torch.randn(SIDE, SIDE).to(device, getattr(torch, precision))

    def rate(self, seconds: float = 0.7) -> float:
        """Return floating-point operations a second: the best of some products, as a peak is."""
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            self._matrix @ self._matrix
            if self._device != "cpu":
                self._torch.cuda.synchronize()
            best = min(best, time.perf_counter() - begin)
        return 2 * SIDE**3 / best


def has_gpu() -> bool:
    """Return whether PyTorch sees a GPU."""
    import torch

    return torch.cuda.is_available()


def describe() -> dict[str, Any]:
    """Return processor, cores, memory, system and versions."""
    import torch
    from omnifuse.processes import cores

    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name")]
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in PACKAGES},
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def limits(folder: str) -> dict[str, float]:
    """Return GB a second of copying memory, into new memory and into the same, and of the disk of a folder."""
    import numpy as np

    source = np.ones(COPIED_MIB << 20, np.uint8)
    same = np.empty_like(source)
    same[:] = 0
    gigabytes = source.nbytes / 1e9
    file = Path(folder) / "disk-rate"
    try:
        return {
            "copy_into_new_memory": gigabytes / _median_seconds(source.copy),
            "copy_into_same_memory": gigabytes / _median_seconds(lambda: np.copyto(same, source)),
            "disk_write": gigabytes / _median_seconds(lambda: _write(file, source), 3),
            "disk_read": gigabytes / _median_seconds(lambda: _read(file), 3),
        }
    finally:
        file.unlink(missing_ok=True)


def _median_seconds(work: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return median(taken)


def _write(path: Path, content: Any) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> None:
    """Read a file that the system does not keep in memory, where it can be told to forget it."""
    with path.open("rb", buffering=0) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(READ_BYTES):
            pass
