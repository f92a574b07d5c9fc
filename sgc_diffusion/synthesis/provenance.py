"""Say in every generated picture that it is one.

A reader of the file finds the IPTC digital source type in its XMP packet (which newsrooms and platforms look for) and,
in a PNG, plain text: drawn by this codec from so many bytes, not evidence of anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, PngImagePlugin

from sgc_diffusion.atomic_file import atomic_path

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def describe_source(num_bytes: int | None, pipeline_name: str) -> str:
    """Return the sentence that a generated picture carries."""
    amount = f"{num_bytes} bytes" if num_bytes is not None else "a semantic payload"
    return (
        f"Synthesized by sgc_diffusion ({pipeline_name}) from {amount}. The details are invented; this is not evidence."
    )


def build_xmp(description: str) -> bytes:
    """Return an XMP packet with the IPTC digital source type and a description."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" Iptc4xmpExt:DigitalSourceType={quoteattr(DIGITAL_SOURCE_TYPE)}>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


class GeneratedImage(Image.Image):
    """A PIL picture that writes its provenance wherever it is saved as PNG, JPEG or WebP.

    Pillow drops XMP on a plain `save`, and a plain `save` is what users write. Pictures derived from it (`resize`,
    `crop`) are plain again.
    """

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002 - Pillow's name
        """Save as `PIL.Image.Image.save` does, with XMP and, for PNG, a description."""
        name = getattr(fp, "name", "") if hasattr(fp, "write") else fp
        kind = format.upper() if format else SUFFIXES.get(Path(name).suffix.lower())
        description, xmp = self.info["Description"], self.info["xmp"]
        if kind == "PNG" and "pnginfo" not in params:
            params["pnginfo"] = PngImagePlugin.PngInfo()
            params["pnginfo"].add_itxt("Description", description)
            params["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
        elif kind in ("JPEG", "WEBP"):
            params.setdefault("xmp", xmp)
            params.setdefault("quality", 92)
        super().save(fp, format, **params)


def mark_generated(image: Image.Image, num_bytes: int | None, pipeline_name: str) -> Image.Image:
    """Make a picture carry its provenance.

    Args:
        image: RGB picture; changed in place.
        num_bytes: size of the file that it was drawn from, None if there was none.
        pipeline_name: what drew it.

    Returns:
        The same picture, as `GeneratedImage`.
    """
    description = describe_source(num_bytes, pipeline_name)
    image.info |= {"xmp": build_xmp(description), "Description": description}
    image.__class__ = GeneratedImage
    return image


def save_image(image: Image.Image, path: Path) -> None:
    """Write a generated picture to a temporary file, then rename it.

    Args:
        image: from `mark_generated`.
        path: ends in .png, .jpg, .jpeg or .webp; an existing file is replaced.

    Raises:
        ValueError: another suffix.
        OSError: the file cannot be written; nothing is left behind.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"`path` must end in {', '.join(SUFFIXES)}, got {path.name!r}")
    with atomic_path(path) as temporary:
        image.save(temporary, SUFFIXES[path.suffix.lower()])
