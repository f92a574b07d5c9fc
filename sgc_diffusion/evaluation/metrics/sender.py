"""The paper's own protocol: label BCE judged by the segmenter that sends, not by a neutral one.

"A binary cross entropy between estimated segmentation maps on decoded images and input images" (Bordin & Maugey, MMSP
2023): their segmenter makes the map that is sent, and judges what comes back. Whoever judges so is not neutral: what
the segmenter cannot see counts for nothing. It stands beside the neutral judge to be compared with the paper's figures,
and best relative to VVC's at QP 55, which takes the number of labels out (`report.protocol`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from sgc_diffusion.evaluation.metrics.segmenter import map_size
from sgc_diffusion.evaluation.metrics.semantic import label_bce, remembered


def load_sender_bce(name: str, device: str = "cpu") -> Callable[[np.ndarray, np.ndarray], float]:
    """Return the label BCE of two pictures (H, W, 3) uint8 by the segmenter of a pipeline.

    Args:
        name: of the pipeline: embedded, a folder, or a Hub id.
        device: to compute on.

    Raises:
        ValueError: a pipeline that cannot be loaded, or that has no segmenter.
    """
    from sgc_diffusion.analysis.labels import segment_image
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

    pipeline = SemanticCompressionPipeline.from_pretrained(name)
    if pipeline.segmenter is None:
        raise ValueError(f"`sender` {name} has no segmenter that could judge; give a pipeline that encodes")
    segmenter = pipeline.segmenter.to(device)
    options = {"short_side": pipeline.config.segmenter_short_side, "image_processor": pipeline.image_processor}

    def label_map(picture: np.ndarray) -> np.ndarray:
        return segment_image(segmenter, Image.fromarray(picture), map_size(picture), **options)

    original_map = remembered(label_map)
    num_classes = int(segmenter.config.num_labels)
    return lambda original, decoded: label_bce(original_map(original), label_map(decoded), num_classes)
