"""What a budget buys: files of `compress(image, max_bytes=…)` from 40 bytes up.

    python eval/rate_control.py --images FOLDER --output eval/results/rate_control.json

For each budget, means over the pictures: bytes of the file; label_agreement, the share of 125×128 fine cells (in the
picture's aspect) whose label the file tells rightly; color_psnr_db of the enlarged color map against that of 64×64
cells; seconds to choose. A picture whose smallest file is larger than the budget is counted in `not_met`.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.fitting import FINE_COLOR_CELLS, FINE_LABEL_CELLS
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.analysis.rate_control import COLOR_RANGE, color_distortion, label_distortion
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.pictures import find_pictures
from sgc_diffusion.zoo.segmenters import segmenter_table

BUDGETS = (40, 50, 60, 80, 100, 120, 150, 200, 300, 500, 1000, 2000, 4000)


def measure(pipe: SemanticCompressionPipeline, image: Image.Image) -> dict[int, dict[str, float] | None]:
    """Return the figures of one picture by budget; None where the budget cannot be met."""
    (fine_labels,) = segment_images(
        pipe.segmenter,
        [image],
        short_side=pipe.config.segmenter_short_side,
        num_cells=FINE_LABEL_CELLS,
        image_processor=pipe.image_processor,
        class_ids=segmenter_table(pipe.segmenter, pipe.config.taxonomy),
    )
    fine_colors, weights = extract_color_map(image, FINE_COLOR_CELLS), np.ones(256)
    rows: dict[int, dict[str, float] | None] = {}
    for budget in BUDGETS:
        started = time.perf_counter()
        try:
            data = pipe.compress(image, max_bytes=budget)
        except ValueError:
            rows[budget] = None
            continue
        seconds, payload = time.perf_counter() - started, decode(data)
        if len(data) > budget:
            raise RuntimeError(f"a file of {len(data)} bytes for a budget of {budget}")
        rms = max(COLOR_RANGE * color_distortion(fine_colors, payload.color_map), 1e-6)
        rows[budget] = {
            "bytes": len(data),
            "bpp": 8 * len(data) / (image.width * image.height),
            "label_cells": payload.label_map.size,
            "color_cells": payload.color_map.size // 3,
            "label_agreement": 1 - label_distortion(fine_labels, payload.label_map, weights),
            "color_psnr_db": float(20 * np.log10(255 / rms)),
            "seconds": seconds,
        }
    return rows


def main() -> None:
    """Compress every picture to every budget and report the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True, help="files, folders or patterns")
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    pipe = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    rows = [measure(pipe, open_image(path)) for path in find_pictures(arguments.images).values()]
    result: dict[str, object] = {
        "command": "python eval/rate_control.py --images FOLDER",
        "commit": commit(),
        "platform": f"Python {platform.python_version()}, {platform.machine()}",
        "num_images": len(rows),
        "budgets": {},
    }
    for budget in BUDGETS:
        met = [figures for row in rows if (figures := row[budget]) is not None]
        means = {name: round(statistics.fmean(figures[name] for figures in met), 5) for name in met[0]} if met else {}
        result["budgets"][budget] = {"not_met": len(rows) - len(met), **means}  # type: ignore[index]
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output:
        with atomic_path(arguments.output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
