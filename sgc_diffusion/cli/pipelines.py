"""Loading a pipeline for a command: the first thing that needs torch.

What takes a file's time is not the drawing but what is imported before it, so what is not needed is left out.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

from sgc_diffusion.cli.devices import choose_device
from sgc_diffusion.extras import require
from sgc_diffusion.zoo.lean_import import lean_diffusers
from sgc_diffusion.zoo.names import embedded_names

if TYPE_CHECKING:
    from sgc_diffusion.pipeline import SemanticCompressionPipeline


def load_pipeline(name: str, device: str, segmenter: str | None = None) -> SemanticCompressionPipeline:
    """Load a pipeline onto a device.

    Args:
        name: embedded name, folder or Hub id.
        device: from `device_name`.
        segmenter: another one than the pipeline's.

    Raises:
        CommandError: the device is not there.
        ImportError: the extra for it is not installed.
        ValueError, OSError: the pipeline cannot be loaded.
    """
    require("torch", "Analyzing and drawing pictures")
    return _load(name, device, segmenter)


def load_decoder(name: str, device: str, others: Collection[str] = ()) -> SemanticCompressionPipeline:
    """Load a pipeline that only draws; an embedded one without importing what it does not draw with.

    Args:
        name: embedded name, folder or Hub id.
        device: from `device_name`.
        others: names that the same command will load besides; see `lean_import` for why they count.

    Raises:
        CommandError, ImportError, ValueError, OSError: as for `load_pipeline`.
    """
    require("torch", "Analyzing and drawing pictures")
    are_embedded = {name, *others} <= set(embedded_names())
    with lean_diffusers() if are_embedded else nullcontext():
        return _load(name, device, segmenter=False)


def _load(name: str, device: str, segmenter: str | Literal[False] | None) -> SemanticCompressionPipeline:
    device = choose_device(device)
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(name, segmenter=segmenter)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
