"""What a decoded picture is worth, in the terms of several fields.

                                       ┌ realism     MUSIQ, CLIP-IQA, HyperIQA, DBCNN, NIQE    decoded alone
original ┐                             ├ semantic    label BCE, mIoU, agreement, CLIP cosine   ┐
         ├ uint8 (H, W, 3) ──measure──▶┤ distortion  PSNR, SSIM, MS-SSIM, SI-SSIM              ├ both
decoded ─┘                             ├ perception  LPIPS, DISTS, VGG distance                ┘
                └──add, finish_set────▶└ set         FID, KID                                  all pictures at once

`METRICS` describes each one and costs nothing to import. `load_metrics` loads those whose weights are here and says of
the others, in `unavailable`, which command gets their weights: no figure ever comes from random weights.

    evaluator = load_metrics("all", weights_dir=Path("weights"))
    evaluator.measure(original, decoded)["psnr"]
"""

from sgc_diffusion.evaluation.metrics.evaluator import Evaluator, load_metrics
from sgc_diffusion.evaluation.metrics.registry import METRICS, Metric

__all__ = ["METRICS", "Evaluator", "Metric", "load_metrics"]
