"""Say in every generated picture that it is one.

    drawn picture ──mark_generated──▶ GeneratedImage ──crop, resize, convert──▶ GeneratedImage ──save──▶ file with XMP

A reader of the file finds the IPTC digital source type in its XMP packet, which newsrooms and platforms look for, and
the words: drawn by this codec from so many bytes, not evidence of anything. Pillow writes no XMP unless it is told to
at each `save`, and a plain `save` is what users write.

What the user gives for a file is kept: the source type is added to an XMP packet that is there already, and the
user's own words about a picture win over these.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, PngImagePlugin, TiffImagePlugin, TiffTags

from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.synthesis.dressing import fitted_to, metadata_options

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PNG_XMP, TIFF_XMP = "XML:com.adobe.xmp", 700  # PNG's keyword and TIFF's tag of an XMP packet
XMP_FORMATS = ("JPEG", "MPO", "WEBP", "AVIF", "JXL")  # that take an argument `xmp`
TEXT_ARGUMENTS = {"GIF": "comment", "JPEG2000": "comment", "PDF": "subject"}  # of formats without XMP in Pillow
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "AVIF", "JXL", "PDF")
QUALITY = 92  # of these, unless the user says otherwise; Pillow's 75 blurs what was drawn
_END_OF_RDF = re.compile(rb"</([\w.-]+:)?RDF\s*>")


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
{_rdf_description(description)}</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


def merge_xmp(given: bytes | str | None, description: str) -> bytes:
    """Return an XMP packet of the user's with the digital source type added.

    Args:
        given: the user's packet; one that names a digital source type already is kept as it is. None makes a new one.
        description: added too where the packet has none.

    Returns:
        The packet. One that holds no RDF cannot be added to: it is kept, with a warning.
    """
    if not given:
        return build_xmp(description)
    packet = given.encode() if isinstance(given, str) else bytes(given)
    if b"DigitalSourceType" in packet:
        return packet
    ends = list(_END_OF_RDF.finditer(packet))
    if not ends:
        warnings.warn("`xmp` is not an XMP packet in UTF-8, so the digital source type is not added", stacklevel=4)
        return packet
    added = _rdf_description(None if b"dc:description" in packet else description).encode()
    return packet[: ends[-1].start()] + added + packet[ends[-1].start() :]


def _rdf_description(description: str | None) -> str:
    """Return a block of RDF that declares its own namespaces, so that it fits into any packet."""
    words = ""
    if description is not None:
        words = f"""
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(description)}</rdf:li></rdf:Alt></dc:description>"""
    return f"""<rdf:Description rdf:about="" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 Iptc4xmpExt:DigitalSourceType={quoteattr(DIGITAL_SOURCE_TYPE)}>{words}
</rdf:Description>"""


class GeneratedImage(Image.Image):
    """A PIL picture that writes its provenance into every file that can hold it.

    What Pillow derives from it (`copy`, `crop`, `resize`, `convert`, `rotate`, …) is generated too and stays marked,
    and so do pickled copies. The words are in `info["Description"]`, the packet in `info["xmp"]`.

    Args:
        image: a loaded picture whose pixels, palette and info are taken over; the pixels are shared, not copied.
    """

    def __init__(self, image: Image.Image) -> None:
        super().__init__()
        self.im, self._mode, self._size = image.im, image.mode, image.size  # as Pillow's handbook has plug-ins do
        self.palette, self.info = image.palette, dict(image.info)

    def _new(self, im: Any) -> GeneratedImage:
        return GeneratedImage(super()._new(im))

    def transform(self, *args: Any, **kwargs: Any) -> GeneratedImage:
        """Transform as `PIL.Image.Image.transform` does, which `rotate` calls too; both make a plain picture."""
        return GeneratedImage(super().transform(*args, **kwargs))

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002 - Pillow's name
        """Save as `PIL.Image.Image.save` does, with provenance, and with quality 92 where there is a quality.

        PNG, JPEG, WebP, AVIF, TIFF and JPEG XL carry XMP, GIF, JPEG 2000 and PDF the same in words.

        Args:
            fp: path, or binary file.
            format: Pillow's name of it; None takes it from the path's suffix.
            **params: of the format's writer; `pnginfo`, `xmp`, `exif`, `tiffinfo` and `comment` are added to.

        Warns:
            UserWarning: a format that cannot carry provenance, such as BMP.
        """
        name = getattr(fp, "name", "") if hasattr(fp, "write") else fp
        kind = (format or _format_of(name) or "").upper()
        params = metadata_options(self.info, kind) | params
        description = self.info.get("Description")
        if description is not None and kind:
            params = _add_provenance(kind, description, params)
        if kind in LOSSY_FORMATS or (kind == "TIFF" and params.get("compression") == "jpeg"):
            params |= {} if params.get("lossless") else {"quality": params.get("quality", QUALITY)}
        super().save(fp, format, **params)


def _format_of(name: Any) -> str | None:
    """Return Pillow's name of a file's format; a file object may have a number for a name, or none."""
    if not isinstance(name, (str, bytes, Path)) and not hasattr(name, "__fspath__"):
        return None
    suffix = Path(name.decode(errors="replace") if isinstance(name, bytes) else name).suffix.lower()
    return Image.registered_extensions().get(suffix)


def _add_provenance(kind: str, description: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a format's writer with provenance added to what the user gave."""
    if kind == "PNG":
        return {**params, "pnginfo": _merge_png(params.get("pnginfo"), description)}
    if kind in XMP_FORMATS:
        return {**params, "xmp": merge_xmp(params.get("xmp"), description)}
    if kind == "TIFF":
        return _merge_tiff(params, description)
    if kind in TEXT_ARGUMENTS:
        given = params.get(TEXT_ARGUMENTS[kind]) or ""
        given = given.decode(errors="replace") if isinstance(given, bytes) else given
        words = f"{description} {DIGITAL_SOURCE_TYPE}"
        return {**params, TEXT_ARGUMENTS[kind]: f"{given}\n{words}" if given else words}
    warnings.warn(
        f"{kind} cannot say that the picture is generated; save it as PNG, JPEG, WebP, AVIF or TIFF", stacklevel=3
    )
    return params


def _merge_png(given: PngImagePlugin.PngInfo | None, description: str) -> PngImagePlugin.PngInfo:
    """Return the user's chunks with ours; a second description would hide the user's, so theirs stays alone."""
    merged, packet = PngImagePlugin.PngInfo(), None
    keywords = set()
    for chunk in given.chunks if given is not None else ():
        keyword, _, rest = chunk[1].partition(b"\0")
        keywords.add(keyword)
        if chunk[0] == b"iTXt" and keyword == PNG_XMP.encode():
            packet = rest[2:].split(b"\0", 2)[2]  # after flag and method of compression, language, translated keyword
            packet = zlib.decompress(packet) if rest[0] else packet
            continue
        merged.chunks.append(chunk)
    if b"Description" not in keywords:
        merged.add_itxt("Description", description)
    merged.add_itxt(PNG_XMP, merge_xmp(packet, description).decode(errors="replace"))
    return merged


def _merge_tiff(params: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the arguments with tag 700; Pillow takes tags from `tiffinfo` or else from `exif`."""
    given: Any = params.get("tiffinfo")
    if given is None and params.get("exif"):
        exif = Image.Exif()
        exif.load(params["exif"] if isinstance(params["exif"], bytes) else params["exif"].tobytes())
        exif[TIFF_XMP] = merge_xmp(params.get("xmp") or exif.get(TIFF_XMP), description)
        return {**params, "exif": exif}
    if isinstance(given, TiffImagePlugin.ImageFileDirectory_v1):
        given = given.to_v2()
    tags, kinds = TiffImagePlugin.ImageFileDirectory_v2(), getattr(given, "tagtype", {})
    for tag, value in (given or {}).items():
        if tag in kinds:
            tags.tagtype[tag] = kinds[tag]
        tags[tag] = value
    tags.tagtype[TIFF_XMP] = TiffTags.BYTE
    packet = tags.get(TIFF_XMP)
    packet = packet[0] if isinstance(packet, tuple) else packet
    tags[TIFF_XMP] = merge_xmp(params.get("xmp") or packet, description)
    return {**params, "tiffinfo": tags}


def mark_generated(image: Image.Image, num_bytes: int | None, pipeline_name: str, kept: str = "") -> GeneratedImage:
    """Return a picture that carries its provenance.

    Args:
        image: of any mode; left as it is. One that is marked already is marked anew.
        num_bytes: size of the file that it was drawn from, None if there was none.
        pipeline_name: what drew it.
        kept: a sentence about regions that are real.
    """
    description = describe_source(num_bytes, pipeline_name) + kept
    marked = GeneratedImage(image.copy())
    marked.info |= {"xmp": build_xmp(description), "Description": description}
    return marked


def save_image(image: Image.Image, path: Path) -> None:
    """Write a picture so that its file is whole or not there.

    Args:
        image: from `mark_generated`.
        path: with a suffix that Pillow can write, such as .png, .jpg, .webp, .avif, .tif or .jp2; an existing file is
            replaced.

    Raises:
        ValueError: another suffix, or a picture that its format cannot hold.
        OSError: the file cannot be written; nothing is left behind.
    """
    kind = _format_of(path)
    if kind is None or kind not in Image.SAVE:
        suffixes = sorted(suffix for suffix, name in Image.registered_extensions().items() if name in Image.SAVE)
        raise ValueError(f"`path` must end in one of {' '.join(suffixes)}, got {path.name!r}")
    stream = io.BytesIO()
    stream.name = path.name  # pyright: ignore[reportAttributeAccessIssue] - some writers look at it
    try:
        fitted_to(image, kind).save(stream, kind)
    except (OSError, ValueError, KeyError, SystemError) as error:
        size = f"{image.width}×{image.height}"
        raise ValueError(
            f"`image` of mode {image.mode} and {size} pixels cannot be written as {kind} ({error}); convert it, "
            "such as to RGB, or give a path that ends in .png"
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(stream.getvalue())
