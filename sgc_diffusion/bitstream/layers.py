"""The registry: which coder writes and reads which layer. `file` knows of no layer but through this.

A layer of the package is added by one import and one entry in `_OPTIONAL`; another package calls `register`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sgc_diffusion.bitstream.alpha import AlphaCoder
from sgc_diffusion.bitstream.color import ColorCoder
from sgc_diffusion.bitstream.detail_levels import DETAIL_LEVELS
from sgc_diffusion.bitstream.importance import ImportanceCoder
from sgc_diffusion.bitstream.labels import LabelCoder
from sgc_diffusion.bitstream.latents import LATENT_LEVELS
from sgc_diffusion.bitstream.layer_coder import LayerCoder
from sgc_diffusion.bitstream.metadata import ExifCoder, IccProfileCoder
from sgc_diffusion.bitstream.regions import RegionsCoder
from sgc_diffusion.payload import MAX_KIND, Layer

LABELS, COLOR = LabelCoder(), ColorCoder()
REQUIRED = (LABELS, COLOR)
_OPTIONAL: dict[int, LayerCoder] = {
    coder.kind: coder
    for coder in (
        ImportanceCoder(),
        RegionsCoder(),
        *LATENT_LEVELS,
        AlphaCoder(),
        *DETAIL_LEVELS,
        IccProfileCoder(),
        ExifCoder(),
    )
}


def register(coder: LayerCoder) -> None:
    """Have files with an optional layer written and read by a coder, from now on.

    Args:
        coder: of a kind that no other coder has.

    Raises:
        ValueError: its kind is out of range or taken, or it is built on a layer that has no coder or comes after it.
    """
    if not 1 <= coder.kind <= MAX_KIND:
        raise ValueError(f"`coder` must have a kind from 1 to {MAX_KIND}, got {coder.kind}")
    if coder.kind in _OPTIONAL:
        raise ValueError(f"`coder` has kind {coder.kind}, which {_OPTIONAL[coder.kind].name!r} has; choose another")
    for kind in coder.built_on:
        if kind not in _OPTIONAL or kind >= coder.kind:
            raise ValueError(
                f"`coder` of kind {coder.kind} is built on kind {kind}, which must have a coder and a lower kind; "
                "register that one first"
            )
    _OPTIONAL[coder.kind] = coder


@contextmanager
def registered(*coders: LayerCoder) -> Iterator[None]:
    """Register coders within a `with` block.

    Raises:
        ValueError: as `register`.
    """
    added: list[int] = []
    try:
        for coder in coders:
            register(coder)
            added.append(coder.kind)
        yield
    finally:
        for kind in added:
            del _OPTIONAL[kind]


def optional_coder(kind: int) -> LayerCoder | None:
    """Return the coder of an optional layer, or None if this version knows none."""
    return _OPTIONAL.get(kind)


def coder_of(layer: Layer) -> LayerCoder:
    """Return the coder that writes a layer.

    Raises:
        ValueError: no coder is registered for its kind and class.
    """
    for coder in (*REQUIRED, optional_coder(layer.kind)):
        if coder is not None and coder.kind == layer.kind and isinstance(layer, coder.layer_class):
            return coder
    raise ValueError(
        f"`layer` {type(layer).__name__} of kind {layer.kind} has no coder; enter one with `bitstream.layers.register`"
    )


def bases(coder: LayerCoder) -> frozenset[int]:
    """Return the kinds of all optional layers that a coder is built on, directly or through others."""
    kinds = set(coder.built_on)
    for kind in coder.built_on:
        base = optional_coder(kind)
        kinds |= bases(base) if base is not None else set()
    return frozenset(kinds)


def bases_of(coder: LayerCoder, body: bytes) -> frozenset[int]:
    """Return the kinds of all optional layers that must be there for a body to be decoded."""
    return bases(coder) | frozenset(coder.named_bases(body))
