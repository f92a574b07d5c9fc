"""The whole way of one photograph: compressed here, drawn back by a separate process that has only the file.

    python pipelines/demo.py [IMAGE] [--output FOLDER]

Writes the `.sgc` file, the decoded picture, and `side_by_side.png`: input, label map, color map, output.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw

from sgc_diffusion import SemanticCompressionPipeline, SemanticPayload, decode
from sgc_diffusion.analysis.image_input import open_image

PHOTOGRAPH = Path(__file__).parent / "landscape.jpg"  # Aitzol Berasategi, CC BY 4.0, reduced


def side_by_side(image: Image.Image, payload: SemanticPayload, drawn: Image.Image, size_bytes: int) -> Image.Image:
    """Return one sheet: what came in, what is sent, what comes out."""
    height = 256
    width = max(1, round(image.width * height / image.height))
    labels = Image.fromarray(payload.labels.taxonomy.palette[payload.label_map])
    panels = [
        (image.resize((width, height), Image.Resampling.LANCZOS), f"input, {image.width} x {image.height}"),
        (labels.resize((width, height), Image.Resampling.NEAREST), "sent: labels"),
        (Image.fromarray(payload.color_map).resize((width, height), Image.Resampling.NEAREST), "sent: colors"),
        (drawn.resize((width, height), Image.Resampling.LANCZOS), f"output, from {size_bytes} bytes"),
    ]
    sheet = Image.new("RGB", (4 * width + 3 * 8, height + 24), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (panel, caption) in enumerate(panels):
        sheet.paste(panel, (index * (width + 8), 0))
        draw.text((index * (width + 8) + 2, height + 5), caption, fill="black", font_size=14)
    return sheet


def main() -> None:
    """Compress, decompress in another process, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", default=PHOTOGRAPH, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    arguments = parser.parse_args()
    source = arguments.image
    try:
        image = open_image(source)
    except (OSError, ValueError) as error:
        sys.exit(f"demo: {error}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    file, picture = arguments.output / f"{source.stem}.sgc", arguments.output / f"{source.stem}.decoded.png"

    started = time.perf_counter()
    pipeline = SemanticCompressionPipeline.from_pretrained("landscape-256")
    loaded = time.perf_counter()
    data = pipeline.compress(image)
    compressed = time.perf_counter()
    file.write_bytes(data)
    options = ["-o", str(picture), "--force", "--device", "cpu"]
    subprocess.run([sys.executable, "-m", "sgc_diffusion", "decompress", str(file), *options], check=True)
    decompressed = time.perf_counter()

    sheet = arguments.output / "side_by_side.png"
    with Image.open(picture) as drawn:
        side_by_side(image, decode(data), drawn.convert("RGB"), len(data)).save(sheet)
    size_bytes = file.stat().st_size
    print(f"{source.name}: {image.width}x{image.height}, {source.stat().st_size} bytes")
    print(f"file:        {file}, {size_bytes} bytes, {8 * size_bytes / (image.width * image.height):.5f} bpp")
    print(f"load:        {loaded - started:.2f} s\ncompress:    {compressed - loaded:.2f} s")
    print(f"decompress:  {decompressed - compressed:.2f} s in its own process, start and loading included")
    print(f"side by side: {sheet}")


if __name__ == "__main__":
    main()
