"""The pictures at the top of the README, drawn anew with the weights that are here.

    pip install -e '.[vvc,notebooks]'
    python pipelines/readme_pictures.py [--output docs/pictures]

Writes `beside.jpg`, two photographs at 60, 110 and 300 bytes beside VVC and AVIF at the same bytes, and `ladder.jpg`,
one photograph from 60 bytes to lossless; both as the pipeline ships. A codec that cannot go so low shows its smallest
file. The photographs: `landscape.jpg` by Aitzol Berasategi, CC BY 4.0, and scikit-learn's `china.jpg` by
danielbuechele, CC BY 2.0.
"""

import argparse
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.cli.sheets import Panel, contact_sheet
from sgc_diffusion.evaluation.codecs import make_codec
from sgc_diffusion.evaluation.metrics.distortion import psnr
from sgc_diffusion.payload import SemanticPayload

PHOTOGRAPHS = (Path(__file__).with_name("landscape.jpg"), Path(str(files("sklearn.datasets.images") / "china.jpg")))
BUDGETS = (60, 110, 300)  # bytes
ANCHORS = {"vvc": "VVC", "av1": "AVIF"}  # reduced and enlarged again, as is best
LADDER = (60, 110, 300, 1000, 3000, 10_000, 30_000)  # bytes; then lossless


def words(num_bytes: int) -> str:
    """Return a number of bytes."""
    return f"{num_bytes:,} bytes"


def sent(payload: SemanticPayload, what: str) -> Panel:
    """Return what a file holds instead of pixels."""
    is_labels = what == "labels"
    grid = payload.labels.taxonomy.palette[payload.label_map] if is_labels else payload.color_map
    height, width = grid.shape[:2]
    image = Image.fromarray(grid).resize((payload.width, payload.height), Image.Resampling.NEAREST)
    return Panel(image, [f"sent: {what}", f"{width} x {height}, of the file of {BUDGETS[1]} bytes"], True)


def coded(anchor: str, image: Image.Image, budget: int) -> Panel:
    """Return what another codec makes of a budget."""
    codec = make_codec(f"{anchor}-down@{budget}")
    codec.require()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "file")
        codec.encode(image, path)
        num_bytes = path.stat().st_size
        note = f", its smallest file, {num_bytes / budget:.1f} times" if num_bytes > budget else ""
        return Panel(codec.decode_image(path), [ANCHORS[anchor], words(num_bytes) + note])


def beside(pipe: SemanticCompressionPipeline, image: Image.Image) -> list[Panel]:
    """Return the panels of a photograph: what is sent, ours, and the anchors, a row for each budget."""
    payload = decode(pipe.compress(image, max_bytes=BUDGETS[1]))
    first = [Panel(image, ["photograph", f"{image.width} x {image.height}"])]
    first += [sent(payload, what) for what in ("labels", "colors")]
    panels = []
    for panel, budget in zip(first, BUDGETS, strict=True):
        data = pipe.compress(image, max_bytes=budget)
        panels += [panel, Panel(pipe.decompress(data).images[0], ["SGC, landscape-256", words(len(data))])]
        panels += [coded(anchor, image, budget) for anchor in ANCHORS]
    return panels


def ladder(pipe: SemanticCompressionPipeline, image: Image.Image) -> list[Panel]:
    """Return a photograph at rising numbers of bytes, up to the original."""
    panels = []
    for options in [*({"max_bytes": budget} for budget in LADDER), {"quality": 100}]:
        data = pipe.compress(image, **options)
        shown = pipe.decompress(data).images[0]
        is_drawn = "Synthesized" in shown.info.get("Description", "Synthesized")
        error = psnr(np.asarray(image), np.asarray(shown.convert("RGB")))
        how = "drawn" if is_drawn else "not drawn"
        last = "every pixel" if options.get("quality") == 100 else f"{how}, PSNR {error:.1f} dB"
        panels.append(Panel(shown, [words(len(data)), last]))
    return panels


def main() -> None:
    """Draw and write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "pictures")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
    pipe.set_progress_bar_config(disable=True)
    images = [open_image(path) for path in PHOTOGRAPHS]
    sheets = {
        "beside.jpg": [panel for image in images for panel in beside(pipe, image)],
        "ladder.jpg": ladder(pipe, images[0]),
    }
    for name, panels in sheets.items():
        contact_sheet(panels).save(arguments.output / name, quality=88)
        print(arguments.output / name)


if __name__ == "__main__":
    main()
