"""Likeness → a picture that says what it is, also in its file: decoded, not generated.

No network has added anything to a likeness, so it carries no IPTC digital source type, only words.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, PngImagePlugin

from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.dressing import dress, fitted_to, metadata_options
from sgc_diffusion.synthesis.likeness import MAX_PIXELS, is_exact, likeness
from sgc_diffusion.synthesis.reduction import reduce_image, reduced_payload

LOSSLESS_OPTIONS: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True, "exact": True}, "JXL": {"lossless": True}}
QUALITY = 95  # of the formats that are always lossy here; the decoded picture is not to be spoiled
TIFF_DESCRIPTION = 270  # tag


def likeness_image(
    payload: SemanticPayload,
    num_bytes: int | None = None,
    *,
    max_side: int | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Image.Image:
    """Return the likeness of a payload as a PIL picture, with alpha if it has any, and its description in `info`.

    Args:
        payload: with or without detail levels.
        num_bytes: size of the file that it was read from, None if there was none.
        max_side: make the longer side this long if it is longer, pixels; None for the picture's own size.
        max_pixels: refuse a picture with more pixels; None for no limit.

    Raises:
        ValueError: as for `likeness`, or a `max_side` below 1.
    """
    made = Image.fromarray(likeness(reduced_payload(payload, max_side), max_pixels=max_pixels))
    image = reduce_image(dress(made, payload), max_side)
    is_whole = image.size == (payload.width, payload.height)
    image.info["Description"] = describe_likeness(num_bytes, exact=is_whole and is_exact(payload))
    return image


def describe_likeness(num_bytes: int | None, *, exact: bool) -> str:
    """Return the sentence that a likeness carries."""
    amount = f"{num_bytes} bytes" if num_bytes is not None else "a semantic payload"
    what = "Exact in every pixel." if exact else "An approximation; no network has added anything."
    return f"Decoded by sgc_diffusion from {amount}. {what}"


def save_likeness(image: Image.Image, path: Path) -> None:
    """Write a likeness with its description so that the file is whole or not there.

    Args:
        image: from `likeness_image`.
        path: with a suffix that Pillow can write; lossless formats keep every pixel, WebP and JPEG XL among them.

    Raises:
        ValueError: another suffix, or a picture that its format cannot hold.
        OSError: the file cannot be written; nothing is left behind.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise ValueError(f"`path` must end in a suffix that Pillow can write, such as .png, got {path.name!r}")
    stream = io.BytesIO()
    try:
        fitted_to(image, kind).save(stream, kind, **_options(kind, image.info))
    except (OSError, ValueError, KeyError, SystemError) as error:
        size = f"{image.width}×{image.height}"
        raise ValueError(f"`image` of {size} pixels cannot be written as {kind} ({error}); give a .png path") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(stream.getvalue())


def _options(kind: str, info: dict[Any, Any]) -> dict[str, Any]:
    """Return the arguments of a format's writer."""
    kept, description = metadata_options(info, kind), info["Description"]
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("Description", description)
        return {**kept, "pnginfo": chunks}
    if kind == "TIFF":
        tags = Image.Exif()
        tags.load(kept.pop("exif", b""))
        tags[TIFF_DESCRIPTION] = tags.get(TIFF_DESCRIPTION, description)
        return {**kept, "exif": tags}
    options = kept | LOSSLESS_OPTIONS.get(kind, {"quality": QUALITY} if kind in ("JPEG", "MPO", "AVIF") else {})
    if kind in ("JPEG", "MPO", "WEBP", "AVIF", "JXL"):
        return {**options, "xmp": _xmp(description)}
    return {**options, "comment": description} if kind in ("GIF", "JPEG2000") else options


def _xmp(description: str) -> bytes:
    """Return an XMP packet that holds a description alone."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()
