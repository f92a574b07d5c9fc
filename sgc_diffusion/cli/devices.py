"""The processors that torch can use, and the choice among them."""

from __future__ import annotations

import argparse
import os
import platform
import re
from typing import Any

from sgc_diffusion.cli.errors import CommandError

DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")
MEBIBYTE = 2**20


def device_name(text: str) -> str:
    """Return the text of `--device` if it can name a device; whether it is there, torch must say.

    Raises:
        argparse.ArgumentTypeError: it cannot.
    """
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be auto, cpu, cuda, cuda:N, xpu, xpu:N or mps, got {text!r}")
    return text


def list_devices() -> list[dict[str, Any]]:
    """Return `device`, `name` and `memory_mb` (None if it cannot be told) of each; the CPU alone without torch."""
    memory_mb = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEBIBYTE
    devices = [{"device": "cpu", "name": platform.processor() or platform.machine(), "memory_mb": memory_mb}]
    try:
        import torch
    except (ImportError, OSError):  # missing, or linked to libraries that are
        return devices
    for kind in ("cuda", "xpu"):
        module: Any = getattr(torch, kind)
        for index in range(module.device_count() if module.is_available() else 0):
            properties = module.get_device_properties(index)
            size_mb = properties.total_memory // MEBIBYTE
            devices.append({"device": f"{kind}:{index}", "name": properties.name, "memory_mb": size_mb})
    if torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU", "memory_mb": None})
    return devices


def choose_device(name: str) -> str:
    """Return the device to use; `auto` is the first GPU, or the CPU where there is none.

    Args:
        name: from `device_name`.

    Raises:
        CommandError: it is not there.
    """
    present = [device["device"] for device in list_devices()]
    if name == "auto":
        return present[1] if len(present) > 1 else present[0]
    wanted = f"{name}:0" if name in ("cuda", "xpu") else name
    if wanted not in present:
        raise CommandError(f"--device {name}: not here; torch finds {', '.join(present)}")
    return wanted
