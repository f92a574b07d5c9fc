"""The layers of a payload ↔ the framed layers of a file, through the registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sgc_diffusion.bitstream.container import CRITICAL, Damage, StoredLayer, write_layer, write_required
from sgc_diffusion.bitstream.errors import BitstreamError, CorruptSectionError, UnsupportedVersionError
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.bitstream.layers import bases, bases_of, coder_of, optional_coder
from sgc_diffusion.payload import Layer, SemanticPayload, UnknownLayer


def write_layers(payload: SemanticPayload) -> tuple[bytes, bytes]:
    """Return the required layers and the optional ones as they stand in a file.

    Raises:
        ValueError: an optional layer has no coder, or a layer that it is built on is not there.
    """
    decoded = DecodedLayers(payload.width, payload.height)
    labels = write_coded(payload.labels, decoded)
    decoded = replace(decoded, labels=payload.labels)
    color = write_coded(payload.color, decoded)
    decoded = replace(decoded, color=payload.color, layers=payload.layers)
    return labels + color, b"".join(write_coded(layer, decoded) for layer in payload.layers)


def write_coded(layer: Layer, decoded: DecodedLayers) -> bytes:
    """Return one layer as it stands in a file.

    Args:
        layer: of any kind.
        decoded: what the reader knows by then, or more.

    Raises:
        ValueError: the layer has no coder, or a layer that it is built on is not there.
    """
    if isinstance(layer, UnknownLayer):
        return write_layer(layer.kind, layer.body)
    coder = coder_of(layer)
    body = coder.encode(layer, _visible_to(coder, decoded))
    return write_layer(coder.kind | CRITICAL * coder.is_critical, body) if coder.kind else write_required(body)


def _visible_to(coder: LayerCoder, decoded: DecodedLayers) -> DecodedLayers:
    """What a coder may see of the layers.

    Raises:
        ValueError: a layer that it is built on is not there.
    """
    kinds = bases(coder)
    seen = kinds.union(coder.built_on_present)
    layers = tuple(layer for layer in decoded.layers if layer.kind in seen and not isinstance(layer, UnknownLayer))
    missing = sorted(kinds - {layer.kind for layer in layers})
    if missing:
        raise ValueError(f"`layers` must hold kind {missing[0]}, which layer {coder.name} is built on; add it")
    return replace(decoded, layers=layers)


def read_optional(
    pieces: Iterable[StoredLayer | Damage], decoded: DecodedLayers
) -> tuple[tuple[Layer, ...], list[Damage]]:
    """Decode the optional layers.

    Args:
        pieces: of `container.read_layers`.
        decoded: the required layers.

    Returns:
        The layers, those that this version does not know as they stand, and what had to be left out.

    Raises:
        UnsupportedVersionError: this version does not know a layer without which the file must not be read.
    """
    damages: list[Damage] = []
    for piece in pieces:
        layer = piece if isinstance(piece, Damage) else _read_coded(piece, decoded)
        if isinstance(layer, Damage):
            damages.append(layer)
        else:
            decoded = replace(decoded, layers=(*decoded.layers, layer))
    return decoded.layers, damages


def _read_coded(stored: StoredLayer, decoded: DecodedLayers) -> Layer | Damage:
    coder = optional_coder(stored.kind)
    try:
        if coder is None:
            return _keep(stored, f"The file needs layer {stored.name}, unknown to this version; update sgc_diffusion")
        if stored.is_critical != coder.is_critical:
            raise CorruptSectionError(f"Layer {coder.name} is not marked as an encoder marks it")
        states = {layer.kind: isinstance(layer, UnknownLayer) for layer in decoded.layers}
        needed = bases_of(coder, stored.body)
        if missing := sorted(needed - set(states)):
            raise CorruptSectionError(f"Layer {coder.name} is built on layer type {missing[0]}, which is not there")
        if any(states[kind] for kind in needed):
            return _keep(stored, f"The file needs layer {coder.name} in a form unknown to this version")
        try:
            return coder.decode(stored.body, _visible_to(coder, decoded))
        except UnsupportedVersionError as error:
            return _keep(stored, str(error))
    except UnsupportedVersionError:
        raise
    except BitstreamError as error:
        return Damage(stored.name if coder is None else coder.name, error, stored.size_bytes)


def _keep(stored: StoredLayer, message: str) -> UnknownLayer:
    """Keep a layer as it stands; raises UnsupportedVersionError if the file must not be read without it."""
    if stored.is_critical:
        raise UnsupportedVersionError(message)
    return UnknownLayer(stored.kind, stored.body)
