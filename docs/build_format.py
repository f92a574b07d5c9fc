"""Put the description of the file format together from the docstrings of the modules that write and read it.

python docs/build_format.py            writes docs/format.md
python docs/build_format.py --check    says whether docs/format.md is what it would write
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "format.md"
MODULES = (  # in the order in which a reader needs them; a new layer's coder goes before `errors`
    "bitstream/file.py",
    "bitstream/fields.py",
    "bitstream/header.py",
    "bitstream/container.py",
    "bitstream/encryption.py",
    "bitstream/range_coder.py",
    "bitstream/tables.py",
    "bitstream/labels.py",
    "bitstream/class_model.py",
    "bitstream/color.py",
    "payload/color_transform.py",
    "bitstream/mask_stream.py",
    "bitstream/importance.py",
    "bitstream/regions.py",
    "bitstream/alpha.py",
    "bitstream/latents.py",
    "bitstream/latent_symbols.py",
    "payload/latent_contexts.py",
    "bitstream/detail_levels.py",
    "payload/smooth_base.py",
    "payload/picture_transform.py",
    "payload/jpeg_colors.py",
    "payload/wavelet.py",
    "payload/wavelet_97.py",
    "payload/detail_bands.py",
    "payload/detail_coefficients.py",
    "payload/steering.py",
    "bitstream/detail.py",
    "bitstream/detail_planes.py",
    "bitstream/detail_context.py",
    "bitstream/detail_probability.py",
    "bitstream/rans.py",
    "bitstream/metadata.py",
    "bitstream/errors.py",
)
INTRODUCTION = """\
# The file format of sgc_diffusion, version 1

This page is normative. `docs/build_format.py` puts it together from the docstrings of the modules that write and read
the format; change those, not this page.
"""


def page() -> str:
    """Return the page: an introduction, and each module's docstring as a section."""
    return "\n".join([INTRODUCTION, *(section(module) for module in MODULES)])


def section(module: str) -> str:
    """Return the docstring of a module, its first line as a heading.

    Args:
        module: path below `sgc_diffusion`.
    """
    source = (ROOT / "sgc_diffusion" / module).read_text("utf-8")
    title, _, text = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
    return f"## {title}\n\n*`sgc_diffusion/{module}`*\n\n{text.strip()}\n"


def main() -> int:
    """Write the page, or compare it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the page is out of date")
    arguments = parser.parse_args()
    if not arguments.check:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page():
        sys.stderr.write("docs/format.md is out of date; run `python docs/build_format.py`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
