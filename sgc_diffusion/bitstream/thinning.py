"""Making a file smaller without decoding it: optional layers are left out, everything else stays as it is.

Layers go in one order whatever the budget, from the end of the file, the finest first, so thinning commutes: to 2,000
bytes and then to 1,000 is the same as to 1,000. Only the ICC profile, some kilobytes, waits until the detail is coarse:
without it colors are taken for sRGB.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sgc_diffusion.bitstream.container import (
    CRITICAL,
    Damage,
    StoredLayer,
    read_container,
    warn_of_damages,
    write_container,
    write_layer,
    write_required,
)
from sgc_diffusion.bitstream.encryption import Passphrase
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layers import bases_of, optional_coder
from sgc_diffusion.payload import IccProfileLayer
from sgc_diffusion.payload.detail import DETAIL_KINDS, FIRST_KIND

_LAST_WITH_PROFILE = 6  # the detail level that goes just before the ICC profile


def thin(
    data: bytes,
    *,
    drop: Collection[int] = (),
    num_levels: int | None = None,
    max_bytes: int | None = None,
    key: bytes | Passphrase | None = None,
) -> bytes:
    """Leave out optional layers of a file, and those that are built on them.

    Layers that this version does not know are kept unless they are named or do not fit. Damaged ones are left out with
    a `DamagedLayerWarning`.

    Args:
        data: the bytes of the file.
        drop: kinds of the layers to leave out.
        num_levels: how many detail levels to keep, the coarsest ones; None for all.
        max_bytes: what the file may take; layers are left out, mostly from its end, until it does.
        key: of an encrypted file; the result is sealed with it anew.

    Returns:
        The bytes of the smaller file.

    Raises:
        BitstreamError: the bytes are not such a file, or its header or a required layer is damaged.
        ValueError: a key of another length, or `max_bytes` that the file without optional layers does not fit into.

    Example:
        >>> thin(thin(data, max_bytes=2000), max_bytes=1000) == thin(data, max_bytes=1000)
        True
    """
    container = read_container(data, key)
    if not container.is_intact:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    pieces = container.optional
    damages = [piece for piece in pieces if isinstance(piece, Damage)]
    kept = _kept([piece for piece in pieces if isinstance(piece, StoredLayer)], drop, num_levels)
    required = b"".join(map(write_required, container.required))
    header = replace(container.header, is_sealed=key is not None)
    frames = [write_layer(piece.kind | CRITICAL * piece.is_critical, piece.body) for piece in kept]
    if max_bytes is not None:
        num_bytes = len(write_container(header, required, b"", key))
        if num_bytes > max_bytes:
            raise ValueError(f"`max_bytes` {max_bytes} is too few: labels and colors alone take {num_bytes} bytes")
        for index in sorted(range(len(kept)), key=lambda index: _rank(kept[index].kind), reverse=True):
            if num_bytes + sum(map(len, frames)) > max_bytes:
                frames[index] = b""
    warn_of_damages(damages, stacklevel=3)
    return write_container(header, required, b"".join(frames), key)


def _rank(kind: int) -> float:
    """Return the place of a kind in the order in which layers go, the last first."""
    return FIRST_KIND + _LAST_WITH_PROFILE - 0.5 if kind == IccProfileLayer.kind else kind


def _kept(layers: Collection[StoredLayer], drop: Collection[int], num_levels: int | None) -> list[StoredLayer]:
    """Return the layers that are not left out by name or number, nor built on one that is."""
    kept: dict[int, StoredLayer] = {}
    for layer in layers:
        coder = optional_coder(layer.kind)
        is_built = coder is None or bases_of(coder, layer.body) <= kept.keys()
        is_one_too_many = layer.kind in DETAIL_KINDS and (
            num_levels is not None and len(kept.keys() & set(DETAIL_KINDS)) >= num_levels
        )
        if layer.kind not in drop and is_built and not is_one_too_many:
            kept[layer.kind] = layer
    return list(kept.values())
