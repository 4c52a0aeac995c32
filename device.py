"""Whether this machine has the devices that a person asks for."""

from __future__ import annotations

import torch

from .cache_schema import InputError, shown


def check_device(name: str) -> torch.device:
    """Return a torch device, such as ``cpu`` or ``cuda:1``; raise `InputError` unless tensors can live on it."""
    try:
        tensor = torch.zeros(1, device=name)
        tensor.item()
        return tensor.device
    except Exception as error:  # torch has another class of error for every way in which a device can be missing
        reason = str(error).partition("\n")[0][:200]
        others = ", ".join(_present())
        raise InputError(f"device = {shown(name)}: this machine has {others}. Torch says: {reason}") from error


def named_devices(names: str) -> tuple[str, ...]:
    """Return the devices of ``cuda:0,1`` or ``cuda:0,cuda:1``.

    Raises
    ------
    InputError
        If this machine has not got one of them, or one is named twice.
    """
    kind, devices = "", []
    for name in (name.strip() for name in names.split(",")):
        kind = kind if name.isdecimal() else name.partition(":")[0]
        devices.append(str(check_device(f"{kind}:{name}" if name.isdecimal() else name)))
    if len(set(devices)) < len(devices):
        raise InputError(f"device = {shown(names)}: each device can be named once.")
    return tuple(devices)


def _present() -> list[str]:
    """Return the devices of this machine that people compute on."""
    graphics = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *graphics, *(["mps"] if torch.backends.mps.is_available() else [])]
