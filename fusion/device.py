"""Whether this machine has the device that a training or a prediction asks for."""

from __future__ import annotations

import torch

from ..cache_schema import InputError, shown


def check_device(name: str) -> None:
    """Raise `InputError` unless tensors can live on a torch device, such as ``cpu`` or ``cuda:1``."""
    try:
        torch.zeros(1, device=name).item()
    except Exception as error:  # torch has another class of error for every way in which a device can be missing
        reason = str(error).partition("\n")[0][:200]
        others = ", ".join(_present())
        raise InputError(f"device = {shown(name)}: this machine has {others}. Torch says: {reason}") from error


def _present() -> list[str]:
    """Return the devices of this machine that people train on."""
    graphics = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *graphics, *(["mps"] if torch.backends.mps.is_available() else [])]
