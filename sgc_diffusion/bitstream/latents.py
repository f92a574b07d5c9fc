"""The latent layers

Kind 3 + n is level n of the latents, 0 … 3: integers that a network makes a picture of, coarse to fine, beside labels
and colors. A file may hold any of the levels; each is built on the next lower one that the file holds, and a level that
is not there is read as one of zeros. The body is

| size | type | meaning |
|---|---|---|
| 1 | u8 | bits 6–7: n minus the number of the level that this one is built on, 0 for the first level of a file; bits 0–5: the index of γ in the first level, else 0 |
| 1 | u8 | in the first level alone: bits 0–1 the reduction r; bit 2 is set if γ follows the importance layer; bits 3–7 the number of the network |
| … | bytes | the symbols, see "Coder of the latents' symbols" |

The index of γ is 0 … 48 and MUST NOT be larger. A reader that does not know the number of the network keeps the layer
as it is, and those that are built on it; this version knows number 0. A level that is not built on the next lower one
of its file MUST be rejected. Latents that follow the importance layer are built on it too. No pipeline of this version
writes latents.

**Sizes.** The network sees the picture with its sides divided by 2^r, rounded up. Level n has that over the stride
64, 32, 16 or 8, rounded up again, rows and columns of latents, and 8, 8, 12 or 12 channels of network 0.

**Meaning.** γ, how much an error weighs, is 2^(index / 4 − 1). What the network does is no part of the format: it is floats, and no float has a
part in writing or reading symbols.

**Limits** that the contexts use, see "Contexts of the latents":

| name | limits |
|---|---|
| `ACTIVITY_LIMITS` | 2 4 8 16 32 64 128 |
| `COARSE_LIMITS` | 1 2 4 8 16 |
| `COARSE_NEAR_LIMITS` | 1 6 20 |
| `EARLIER_LIMITS` | 1 2 4 7 12 |
| `EARLIER_NEAR_LIMITS` | 1 5 14 |
| `NEAR_LIMITS` | 1 2 3 5 9 |
| `CORNER_LIMITS` | 1 3 6 |

The tables are in `sgc_diffusion/bitstream/latents.npz`: `gamma`, `label`, `color`, `coarse`, `earlier` and `near` by
level, channel and place, and `symbol` by scale index and k. The SHA-256 of them all, as in section "Probabilities", is
e312351bc470503d0a0e826976d2b86fff10361a17e8a190e061162d8d2a16a0.
"""  # noqa: E501 - a row of a table

from __future__ import annotations

import numpy as np

from sgc_diffusion.bitstream.errors import CorruptSectionError, TruncatedStreamError, UnsupportedVersionError
from sgc_diffusion.bitstream.latent_symbols import TABLE_FILE, SymbolDecoder, SymbolEncoder, code_level
from sgc_diffusion.bitstream.layer_coder import DecodedLayers, LayerCoder
from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.importance import IMPORTANCE_KIND, ImportanceLayer
from sgc_diffusion.payload.latents import (
    CHANNELS,
    FIRST_KIND,
    LATENT_KINDS,
    NUM_GAMMAS,
    NUM_NETWORKS,
    LatentLevel,
    gamma_indices,
    level_size,
)

_BASE_SHIFT, _NETWORK_SHIFT, _FOLLOWS, _REDUCTIONS = 6, 3, 4, 3  # bits of the first two bytes

Setting = tuple[int, int, int, bool]  # index of γ, reduction, network, whether γ follows the importance


class LatentCoder(LayerCoder[LatentLevel]):
    """Writes and reads one level of latents."""

    layer_class = LatentLevel
    table_file = TABLE_FILE

    def __init__(self, level: int) -> None:
        """Set up the coder of a level, 0 … 3."""
        self.kind = FIRST_KIND + level
        self.name = f"latents {level}"
        self.built_on_present = (IMPORTANCE_KIND, *(kind for kind in LATENT_KINDS if kind < self.kind))

    def named_bases(self, body: bytes) -> tuple[int, ...]:
        """Return the kind of the level below, which the first byte names, or of the importance that γ follows."""
        distance = body[0] >> _BASE_SHIFT if body else 0
        if distance:
            return (self.kind - distance,) if distance <= self.kind - FIRST_KIND else ()
        return (IMPORTANCE_KIND,) if len(body) > 1 and body[1] & _FOLLOWS else ()

    def encode(self, layer: LatentLevel, before: DecodedLayers) -> bytes:
        """Write a level.

        Raises:
            ValueError: the level is of a picture of another size, of another γ, reduction or network than the one below
                it, or follows an importance layer that is not there.
        """
        size = level_size(before.height, before.width, layer.reduction, layer.level)
        if layer.symbols.shape[1:] != size:
            raise ValueError(
                f"`layers` must hold latents of shape {size} at level {layer.level} of a {before.width}×"
                f"{before.height} picture, got {layer.symbols.shape[1:]}"
            )
        lower = _highest(before)
        if lower is None:
            second = layer.network << _NETWORK_SHIFT | _FOLLOWS * layer.follows_importance | layer.reduction
            head = bytes([layer.gamma_index, second])
        elif _setting(lower) == _setting(layer):
            head = bytes([layer.kind - lower.kind << _BASE_SHIFT])
        else:
            raise ValueError(
                f"`layers` must hold latents of one γ, reduction, network and importance, got {_setting(layer)} at "
                f"level {layer.level} over {_setting(lower)}"
            )
        coder = SymbolEncoder(layer.symbols)
        _code(coder, layer.level, _setting(layer), lower, before)
        return head + coder.finish()

    def decode(self, body: bytes, before: DecodedLayers) -> LatentLevel:
        """Read what `encode` wrote."""
        lower, level = _highest(before), self.kind - FIRST_KIND
        if not body:
            raise TruncatedStreamError(f"Layer {self.name} is empty")
        if body[0] >> _BASE_SHIFT != (0 if lower is None else self.kind - lower.kind):
            raise CorruptSectionError(f"Layer {self.name} is not built on the level below it in the file")
        if lower is not None:
            setting, stream = _setting(lower), body[1:]
            if body[0] & (1 << _BASE_SHIFT) - 1:
                raise CorruptSectionError(f"Layer {self.name} starts with a byte that no encoder writes")
        else:
            setting, stream = _read_setting(body, self.name), body[2:]
            if setting[-1] and before.layer(ImportanceLayer) is None:
                raise CorruptSectionError(f"Layer {self.name} follows an importance layer that is not there")
        coder = SymbolDecoder(stream)
        symbols = _code(coder, level, setting, lower, before)
        coder.finish()
        return LatentLevel(self.kind, symbols, *setting)


LATENT_LEVELS = tuple(LatentCoder(kind - FIRST_KIND) for kind in LATENT_KINDS)


def _setting(layer: LatentLevel) -> Setting:
    """Return what all levels of a file have in common: index of γ, reduction, network, whether importance counts."""
    return layer.gamma_index, layer.reduction, layer.network, layer.follows_importance


def _read_setting(body: bytes, name: str) -> Setting:
    if len(body) < 2:
        raise TruncatedStreamError(f"Layer {name} ends in its first two bytes")
    gamma_index, network = body[0], body[1] >> _NETWORK_SHIFT
    if network >= NUM_NETWORKS:
        raise UnsupportedVersionError(f"Layer {name} is of network {network}, unknown to this version")
    if gamma_index >= NUM_GAMMAS:
        raise CorruptSectionError(f"Layer {name} has {gamma_index} as the index of γ; at most {NUM_GAMMAS - 1} is one")
    return gamma_index, body[1] & _REDUCTIONS, network, bool(body[1] & _FOLLOWS)


def _code(
    coder: SymbolEncoder | SymbolDecoder,
    level: int,
    setting: Setting,
    lower: LatentLevel | None,
    before: DecodedLayers,
) -> np.ndarray:
    """Code the symbols of a level, and return them."""
    if before.labels is None or before.color is None:
        raise ValueError("`before` must have the label map and the color map, which latents are built on")
    gamma_index, reduction, _, follows_importance = setting
    importance = before.layer(ImportanceLayer) if follows_importance else None
    if follows_importance and importance is None:
        raise ValueError("`layers` must hold the importance layer, which these latents follow; add it")
    rows, columns = level_size(before.height, before.width, reduction, level)
    coder.expect(CHANNELS[level] * rows * columns)
    labels = contexts.reference_labels(before.labels.label_map, before.labels.taxonomy_name)
    gammas = gamma_indices(gamma_index, importance)
    given = contexts.given_places(labels, before.color.color_map, gammas, rows, columns)
    coarser = lower.symbols if lower is not None and lower.level == level - 1 else None
    return code_level(coder, level, (CHANNELS[level], rows, columns), coarser, given)


def _highest(before: DecodedLayers) -> LatentLevel | None:
    """Return the level that the next one is built on."""
    return next((layer for layer in reversed(before.layers) if isinstance(layer, LatentLevel)), None)
