"""Making a file smaller without decoding it: optional layers are left out, everything else stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sgc_diffusion.bitstream.container import (
    CRITICAL,
    Damage,
    read_container,
    warn_of_damages,
    write_container,
    write_layer,
    write_required,
)
from sgc_diffusion.bitstream.encryption import Passphrase
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.layers import bases_of, optional_coder


def thin(data: bytes, *, drop: Collection[int], key: bytes | Passphrase | None = None) -> bytes:
    """Leave out optional layers of a file, and those that are built on them.

    Layers that this version does not know are kept unless they are named. Damaged ones are left out with a
    `DamagedLayerWarning`.

    Args:
        data: the bytes of the file.
        drop: kinds of the layers to leave out.
        key: of an encrypted file; the result is sealed with it anew.

    Returns:
        The bytes of the smaller file.

    Raises:
        BitstreamError: the bytes are not such a file, or its header or a required layer is damaged.
        ValueError: a key of another length.
    """
    container = read_container(data, key)
    if not container.is_intact:
        raise CorruptSectionError("The checksum does not match: the file was changed")
    kept, optional, damages = set(), b"", []
    for piece in container.optional:
        if isinstance(piece, Damage):
            damages.append(piece)
            continue
        coder = optional_coder(piece.kind)
        if piece.kind in drop or (coder is not None and not bases_of(coder, piece.body) <= kept):
            continue
        kept.add(piece.kind)
        optional += write_layer(piece.kind | CRITICAL * piece.is_critical, piece.body)
    warn_of_damages(damages, stacklevel=3)
    required = b"".join(map(write_required, container.required))
    return write_container(replace(container.header, is_sealed=key is not None), required, optional, key)
