"""Loading a pipeline for a command: the first thing that needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgc_diffusion.cli.devices import choose_device
from sgc_diffusion.extras import require

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
    device = choose_device(device)
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(name, segmenter=segmenter)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
