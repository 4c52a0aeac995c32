"""What the frozen text and image encoders share: device, precision, seeded weights, conversion of the result."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..cache_schema import InputError
from .frozen_encoders import Encode, Rows
from .source import UnreadableItem

CPU_FLAGS = Path("/proc/cpuinfo")

THREADS_OF_A_GPU = 4
"""Parts in work on one GPU: while it computes one, others are cut into tokens, copied or written."""

_asked_for: ContextVar[str] = ContextVar("device", default="")


@contextmanager
def computing_on(device: str) -> Iterator[None]:
    """Make a device the default one of the encoders that are loaded in the body; "" leaves it as it was."""
    before = _asked_for.set(device or _asked_for.get())
    try:
        yield
    finally:
        _asked_for.reset(before)


def default_device() -> torch.device:
    """Return the device that was asked for, else the GPU where PyTorch sees one, else the CPU."""
    return torch.device(_asked_for.get() or ("cuda" if torch.cuda.is_available() else "cpu"))


def is_accelerator(device: torch.device) -> bool:
    """Return whether a device wants batches as large as its memory holds."""
    return device.type != "cpu"


def side_by_side(encode: Encode, device: torch.device, threads: int = THREADS_OF_A_GPU) -> list[Encode]:
    """Return an encoder for each of the threads that a device serves; on a GPU each has a stream of its own.

    So copies of one part overlap with the computing of another. Any other device serves one thread.
    """
    if device.type != "cuda":
        return [encode]
    torch.cuda.synchronize(device)  # the weights are copied in the stream of this thread
    streams = [torch.cuda.Stream(device) for _ in range(threads)]  # type: ignore[no-untyped-call]
    return [partial(_in_stream, stream, encode) for stream in streams]


def _in_stream(stream: torch.cuda.Stream, encode: Encode, items: Iterable[Any]) -> list[Rows | UnreadableItem]:
    with torch.cuda.stream(stream):
        return list(encode(items))


def fast_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 where ``device`` multiplies it in hardware, else float32.

    Decided from what the processor says of itself and never by timing, so that a run that was interrupted goes on in
    the precision in which it began. Without such instructions bfloat16 is emulated and slower than float32.
    """
    if device.type == "cuda":
        hardware = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        hardware = device.type == "cpu" and CPU_FLAGS.exists() and "avx512_bf16" in CPU_FLAGS.read_text()
    return torch.bfloat16 if hardware else torch.float32


def seed_weights(model: nn.Module, seed: int) -> None:
    """Replace all parameters: normal with variance 1 / fan-in (LeCun et al. 1998), biases 0, scales of norms 1.

    With the customary 2 / fan-in an untrained ResNet34, whose norms do nothing yet, would double its variance in every
    block. NumPy draws the numbers, in order of the parameters' names: they do not depend on the version of PyTorch.
    """
    generator = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.ndim == 1:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            scale = parameter[0].numel() ** -0.5
            numbers = generator.standard_normal(tuple(parameter.shape), dtype=np.float32)
            parameter.copy_(torch.from_numpy(numbers * np.float32(scale)))


def digest_weights(model: nn.Module) -> str:
    """Return the sha256 of names and float32 values of all parameters, as 64 hexadecimal digits."""
    checksum = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        checksum.update(f"{name} {tuple(parameter.shape)}".encode())
        checksum.update(parameter.detach().numpy().tobytes())
    return checksum.hexdigest()


def check_weights(model: nn.Module, source: Path) -> None:
    """Raise :class:`InputError` naming ``source`` if weights or statistics that come from it are not finite."""
    tensors = (*model.named_parameters(), *model.named_buffers())
    damaged = [name for name, tensor in tensors if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if damaged:
        raise InputError(
            f"The weights in {source} are damaged: {len(damaged)} of {len(tensors)} tensors have values that are not "
            f"finite, the first {damaged[0]}. Get the file again, or choose another encoder."
        )


def to_device(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """Return a copy of numbers on a device; to a GPU they travel from pinned memory, and the caller goes on."""
    tensor = torch.tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_float16(rows: torch.Tensor, encoder: str) -> npt.NDArray[np.float16]:
    """Return the output of an encoder as float16.

    Raises
    ------
    InputError
        If a value is not finite, or too large for float16.
    """
    halves = rows.to(torch.float16)
    finite = torch.isfinite(halves).all()
    here = halves.to("cpu", non_blocking=True)  # from a GPU into pinned memory, there when ``finite`` is known
    if not finite:
        raise InputError(
            f"The encoder {encoder!r} gave values that are not finite in float16: its weights are damaged or unsuited. "
            "Choose another."
        )
    return here.numpy()
