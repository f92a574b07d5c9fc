"""What a file says about itself without decoding its layers."""

from __future__ import annotations

from dataclasses import dataclass

from sgc_diffusion.bitstream.container import REQUIRED_NAMES, Damage, read_container, write_required
from sgc_diffusion.bitstream.detail_head import told_psnr
from sgc_diffusion.bitstream.encryption import Passphrase
from sgc_diffusion.bitstream.fields import Reader
from sgc_diffusion.bitstream.header import FORMAT_VERSION, Header, read_header
from sgc_diffusion.bitstream.layers import optional_coder
from sgc_diffusion.payload import DecoderRecipe
from sgc_diffusion.payload.detail import DETAIL_KINDS


@dataclass(frozen=True)
class FileSummary:
    """What a file says without decoding its layers.

    Attributes:
        format_version: of the file.
        is_encrypted: the layers are sealed.
        width: of the picture, pixels.
        height: of the picture, pixels.
        recipe: how the picture is to be drawn.
        header_bytes: size of everything before the layers, checksum included.
        layer_bytes: layer name → size in bytes with its length field: `labels`, `color`, the names of the optional
            layers, `type N` for a layer that this version does not know, `damaged` for all damaged ones together; only
            `sealed` for an encrypted file without its key.
        level_psnr_db: name of a detail level → PSNR in dB of the picture that it gives, where it tells one; a part of a
            level as any other.
        unknown_layers: names of the layers that this version does not know.
        damaged_layers: names of the optional layers that are damaged, and what is wrong with each.
        is_intact: every checksum matches and no layer is cut or out of order; None for an encrypted file without its
            key.
    """

    format_version: int
    is_encrypted: bool
    width: int
    height: int
    recipe: DecoderRecipe
    header_bytes: int
    layer_bytes: dict[str, int]
    level_psnr_db: dict[str, float]
    unknown_layers: tuple[str, ...]
    damaged_layers: tuple[str, ...]
    is_intact: bool | None


def inspect(data: bytes, *, key: bytes | Passphrase | None = None) -> FileSummary:
    """Read what a file says about itself, without decoding its layers.

    Args:
        data: the bytes of the file.
        key: of an encrypted file, if its layers are to be listed.

    Raises:
        BitstreamError: the bytes are not such a file, or it ends before its color layer does.
        ValueError: a key of another length.
    """
    reader = Reader(bytes(data))
    header = read_header(reader)
    if header.is_sealed and key is None:
        return _summary(header, len(data), {"sealed": reader.remaining})
    container = read_container(data, key)
    layer_bytes = {
        name: len(write_required(body)) for name, body in zip(REQUIRED_NAMES, container.required, strict=True)
    }
    unknown, damaged, level_psnr_db = [], [], {}
    for piece in container.optional:
        if isinstance(piece, Damage):
            name = "damaged"
            damaged.append(f"{piece.name}: {piece.error}")
        elif (coder := optional_coder(piece.kind)) is not None:
            name = coder.name
            if piece.kind in DETAIL_KINDS and (psnr_db := told_psnr(piece.body)) is not None:
                level_psnr_db[name] = psnr_db
        else:
            name = piece.name
            unknown.append(name)
        layer_bytes[name] = layer_bytes.get(name, 0) + piece.size_bytes
    is_intact = container.is_intact and not damaged
    return _summary(header, len(data), layer_bytes, level_psnr_db, tuple(unknown), tuple(damaged), is_intact)


def _summary(
    header: Header,
    size_bytes: int,
    layer_bytes: dict[str, int],
    level_psnr_db: dict[str, float] | None = None,
    unknown: tuple[str, ...] = (),
    damaged: tuple[str, ...] = (),
    is_intact: bool | None = None,
) -> FileSummary:
    return FileSummary(
        format_version=FORMAT_VERSION,
        is_encrypted=header.is_sealed,
        width=header.width,
        height=header.height,
        recipe=header.recipe,
        header_bytes=size_bytes - sum(layer_bytes.values()),
        layer_bytes=layer_bytes,
        level_psnr_db=level_psnr_db or {},
        unknown_layers=unknown,
        damaged_layers=damaged,
        is_intact=is_intact,
    )
