"""In which numbers networks compute where nobody said: bfloat16 on processors that are made for it.

It takes a third of a drawing's time away there. A picture of an embedded pipeline differs from float32's by some two
levels of 255 (57 dB; `eval/speed.py` measures both), far less than what a seed decides; how much other pipelines' do
was not measured. Weights, noise and colors stay in float32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def has_fast_bfloat16() -> bool:
    """Return whether this processor multiplies matrices of bfloat16 in hardware (AMX)."""
    is_supported = getattr(torch.cpu, "_is_amx_tile_supported", None)  # without it, an older torch that cannot tell
    return bool(is_supported is not None and is_supported())


def drawing_precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Return a block within which networks draw in the fastest numbers that keep the picture.

    Args:
        device: that they are on.
        dtype: of their weights; whoever chose another than float32 knows why.
    """
    if device.type == "cpu" and dtype == torch.float32 and has_fast_bfloat16():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()
