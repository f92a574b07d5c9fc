"""Pixels ↔ bands of wavelet coefficients, over the smooth base; reversible, integers alone.

    color map ──enlarge──▶ smooth base ──colors──┐
    picture ──colors──▶ channels ──5/3, twice──▶ (−) ──5/3──▶ bands ──mix──▶ (`forward`; `inverse` goes back)

Normative, part of the file format: numbers are 16-bit integers in two's complement that wrap, `>>` rounds down.

There are four kinds of transform, each reversible:
  0  colors YCoCg-R (Malvar and Sullivan 2003) of R, G, B: Co = R − B, t = B + (Co >> 1), Cg = G − t, Y = t + (Cg >> 1);
     5/3. For exact files.
  1  `jpeg_colors`, 5/3. For exact files of pictures all of whose colors come from a JPEG decoder; Co and Cg stand for
     Cr and Cb, and Y for M, wherever this page speaks of channels.
  2  colors YCoCg-R of 4·R, 4·G, 4·B, 9/7. For lossy files without regions, a tenth smaller. On the way back 2 is added
     to what YCoCg-R gives for R, G, B, which is then shifted down by 2.
  3  as 1, for pictures whose JPEG file had chroma in full size: the coder's tables differ.

`wavelet` splits each channel; its base are the channels of the smooth base at the pixels in rows and columns 0, 2^s,
2 · 2^s … for the scale s that the base goes from; with kind 2 those of YCoCg-R of R, G, B times 1024, 1550 or 2345 for
s = 0, 1 or 2, plus 128, shifted down by 8.

Then from every coefficient of Co goes (m₀·Y + 8) >> 4, and from that of Cg goes (m₁·Y + m₂·Co + 8) >> 4, with Y and Co
at the same place, Co before its own step; m is one triple of numbers for scale 1 and one for the others and the low
band. The first level of a file holds the kind, the filters unless it is 2, and the mixes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from sgc_diffusion.payload import wavelet
from sgc_diffusion.payload.jpeg_colors import from_jpeg_colors, jpeg_colors, to_jpeg_colors
from sgc_diffusion.payload.smooth_base import smooth_base

MIXES = range(-8, 8)
EXACT, JPEG, SMOOTH, FULL_JPEG = range(4)  # kinds of transform
_FULL_CHROMA = 0.62  # size of chroma's details at scale 1 to those at scale 2 from which chroma was not halved
LIMIT = 1 << 13  # above every coefficient
_BASE_FACTORS = (1024, 1550, 2345)  # 1024 times the gain of the 9/7 step for a constant, twice a scale
_STRIP_ROWS = 256  # converted at a time, which bounds the memory
_COST_CELLS = 1 << 16  # of a band that are looked at to choose a filter, about
_SIZE_COSTS = np.array([(2 * (1 + size) ** 8).bit_length() for size in range(512)])  # eighths of a bit, about


def _no_filters() -> np.ndarray:
    return np.zeros((3, wavelet.FILTERED_SCALES, 2), dtype=np.uint8)


def _no_mixes() -> np.ndarray:
    return np.zeros((2, 3), dtype=np.int8)


@dataclass(frozen=True)
class TransformChoices:
    """What suits the transform to a picture.

    Attributes:
        filters: (3, 2, 2) uint8, 0 … 7: by channel, scale − 1 and direction (HL, LH).
        mixes: (2, 3) int8, −8 … 7: of scale 1, of the others; Co from Y, Cg from Y, Cg from Co.
        kind: `EXACT`, `JPEG`, `SMOOTH` or `FULL_JPEG`.
    """

    filters: np.ndarray = field(default_factory=_no_filters)
    mixes: np.ndarray = field(default_factory=_no_mixes)
    kind: int = EXACT


def to_ycocg(rgb: np.ndarray) -> np.ndarray:
    """Return YCoCg-R, (3, h, w) int16, of (h, w, 3) uint8."""
    red, green, blue = (rgb[..., channel].astype(np.int16) for channel in range(3))
    orange = red - blue
    middle = blue + (orange >> 1)
    greenness = green - middle
    return np.stack([middle + (greenness >> 1), orange, greenness])


def from_ycocg(channels: np.ndarray | Sequence[np.ndarray], num_fraction_bits: int = 0) -> np.ndarray:
    """Return (h, w, 3) uint8 from YCoCg-R (3, h, w) int16, an array or one a channel, clipped to 0 … 255."""
    luma, orange, greenness = channels
    middle = luma - (greenness >> 1)
    blue = middle - (orange >> 1)
    rgb = np.stack([blue + orange, greenness + middle, blue], axis=-1)
    if num_fraction_bits:
        rgb = (rgb + (1 << num_fraction_bits >> 1)) >> num_fraction_bits
    return np.clip(rgb, 0, 255).astype(np.uint8)


def to_channels(rgb: np.ndarray, kind: int) -> np.ndarray:
    """Return the channels, (3, h, w) int16, of (h, w, 3) uint8 in the colors of a kind of transform."""
    if kind in (JPEG, FULL_JPEG):
        return to_jpeg_colors(rgb)
    return to_ycocg(rgb if kind == EXACT else rgb.astype(np.int16) << 2)


def from_channels(channels: list[np.ndarray], kind: int) -> np.ndarray:
    """Return (h, w, 3) uint8 from channels in the colors of a kind of transform."""
    if kind in (JPEG, FULL_JPEG):
        return from_jpeg_colors(channels)
    return from_ycocg(channels, 2 * int(kind == SMOOTH))


def forward(
    picture: np.ndarray,
    color_map: np.ndarray,
    choices: TransformChoices | None = None,
    *,
    is_for_lossless: bool = False,
) -> tuple[list[list[list[np.ndarray]]], TransformChoices]:
    """Transform a picture.

    Args:
        picture: (H, W, 3) uint8.
        color_map: (h, w, 3) uint8, the decoded one.
        choices: None to find those that leave the smallest coefficients.
        is_for_lossless: whether the file will hold the last level; otherwise the kind is `SMOOTH` where it can be.

    Returns:
        For each of the channels Y, Co, Cg: scales, the coarsest first, each a list of int16 bands; the first is
        [low] alone, the others [hl, lh, hh]. And the choices.
    """
    if choices is not None:
        return _forward(_converted(picture, choices.kind), color_map, choices.kind, choices)
    planes = jpeg_colors(picture) if is_for_lossless else None
    if planes is not None:
        return _forward(planes, color_map, JPEG)
    if not is_for_lossless:
        channels, found = _forward(_converted(picture, SMOOTH), color_map, SMOOTH)
        if all(_is_small(band) for channel in channels for scale in channel for band in scale):
            return channels, found
    return _forward(_converted(picture, EXACT), color_map, EXACT)


def _is_small(band: np.ndarray) -> bool:
    return not band.size or (-LIMIT < band.min() and band.max() < LIMIT)


def _converted(picture: np.ndarray, kind: int) -> list[np.ndarray]:
    """Return the channels of a picture, (H, W) int16 each."""
    planes = [np.empty(picture.shape[:2], dtype=np.int16) for _ in range(3)]
    for start in range(0, len(picture), _STRIP_ROWS):
        strip = slice(start, start + _STRIP_ROWS)
        for plane, converted in zip(planes, to_channels(picture[strip], kind), strict=True):
            plane[strip] = converted
    return planes


def _forward(
    planes: list[np.ndarray], color_map: np.ndarray, kind: int, choices: TransformChoices | None = None
) -> tuple[list[list[list[np.ndarray]]], TransformChoices]:
    """Transform channels (H, W) int16, which are let go of, as `forward` does."""
    filters = _no_filters() if choices is None else choices.filters
    if choices is None and kind != SMOOTH:
        filters = np.stack([choose_filters(plane, channel == 0) for channel, plane in enumerate(planes)])
    base, channels = _low_base(color_map, *planes[0].shape, kind), []
    for channel in range(3):
        channels.append(wavelet.split(planes.pop(0), filters[channel], base[channel], channel == 0, kind == SMOOTH))
    if choices is None and kind == JPEG and _has_full_chroma(channels):
        kind = FULL_JPEG
    mixes = choose_mixes(channels) if choices is None else choices.mixes
    for scale, (lumas, oranges, greens) in enumerate(zip(*channels, strict=True)):
        mix = mixes[int(scale == 0 or scale < len(channels[0]) - 1)].tolist()
        for luma, orange, green in zip(lumas, oranges, greens, strict=True):
            green -= mixed(luma, orange, mix[1], mix[2])
            orange -= mixed(luma, orange, mix[0], 0)
    return channels, TransformChoices(filters, mixes, kind)


def _has_full_chroma(channels: list[list[list[np.ndarray]]]) -> bool:
    """Return whether the finest details of chroma are as large as those of a picture whose chroma was never halved."""
    if len(channels[0]) < 3:
        return False
    fine, coarse = (
        sum(float(np.abs(band).mean()) for channel in channels[1:] for band in channel[scale][:2]) for scale in (-1, -2)
    )
    return fine > _FULL_CHROMA * coarse


def inverse(
    channels: list[list[list[np.ndarray]]],
    choices: TransformChoices,
    color_map: np.ndarray,
    height: int,
    width: int,
) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 of bands as `forward` returns them, which it uses up; clipped to 0 … 255."""
    _unmix(channels, choices)
    base = _low_base(color_map, height, width, choices.kind)
    planes = [
        wavelet.merge(
            channels[channel], choices.filters[channel], base[channel], channel == 0, is_smooth=choices.kind == SMOOTH
        )
        for channel in range(3)
    ]
    picture = np.empty((height, width, 3), dtype=np.uint8)
    for start in range(0, height, _STRIP_ROWS):
        strip = slice(start, start + _STRIP_ROWS)
        picture[strip] = from_channels([plane[strip] for plane in planes], choices.kind)
    return picture


def chroma_lows(
    channels: list[list[list[np.ndarray]]],
    choices: TransformChoices,
    color_map: np.ndarray,
    height: int,
    width: int,
) -> list[np.ndarray]:
    """Return Co and Cg at even rows and columns, int16 each, from bands as of `inverse`, the finest of no matter."""
    _unmix(channels, choices)
    base = _low_base(color_map, height, width, choices.kind)
    return [wavelet.merge(channels[channel], choices.filters[channel], base[channel], False, 1) for channel in (1, 2)]


def _unmix(channels: list[list[list[np.ndarray]]], choices: TransformChoices) -> None:
    for scale, (lumas, oranges, greens) in enumerate(zip(*channels, strict=True)):
        mix = choices.mixes[int(scale == 0 or scale < len(channels[0]) - 1)].tolist()
        for luma, orange, green in zip(lumas, oranges, greens, strict=True):
            orange += mixed(luma, orange, mix[0], 0)
            green += mixed(luma, orange, mix[1], mix[2])


def _low_base(color_map: np.ndarray, height: int, width: int, kind: int) -> np.ndarray:
    """Return the channels of the smooth base at the places of the low band that it is taken from, (3, h, w) int16."""
    scale = min(wavelet.BASE_SCALE, wavelet.num_decompositions(height, width))
    base = smooth_base(color_map, height, width, 1 << scale)
    if kind != SMOOTH:
        return to_channels(base, kind)
    return ((to_ycocg(base).astype(np.int32) * _BASE_FACTORS[scale] + 128) >> 8).astype(np.int16)


def mixed(luma: np.ndarray, orange: np.ndarray, from_luma: int, from_orange: int) -> np.ndarray:
    """Return what goes from a channel by its mix, int16."""
    if not from_luma and not from_orange:
        return np.zeros((), dtype=np.int16)
    return (np.int16(from_luma) * luma + np.int16(from_orange) * orange + np.int16(8)) >> 4


def choose_mixes(channels: list[list[list[np.ndarray]]]) -> np.ndarray:
    """Return the mixes, (2, 3) int8, that leave the smallest details at scales 1 and 2."""
    mixes = _no_mixes()
    for group in range(min(2, len(channels[0]) - 1)):
        every = max(1, channels[0][-1 - group][0].size // _COST_CELLS)
        luma, orange, green = (
            np.concatenate([band[::every].ravel() for band in channel[-1 - group][:2]]) for channel in channels
        )
        mixes[group, 0] = _least(MIXES, (orange - mixed(luma, orange, mix, 0) for mix in MIXES))
        mixes[group, 2] = _least(MIXES, (green - mixed(luma, orange, 0, mix) for mix in MIXES))
        second = int(mixes[group, 2])
        mixes[group, 1] = _least(MIXES, (green - mixed(luma, orange, mix, second) for mix in MIXES))
    return mixes


def _least(numbers: Iterable[int], details: Iterable[np.ndarray]) -> int:
    """Return the number whose details cost least, about; the one nearest to 0 among equals."""
    costs = [int(_SIZE_COSTS[np.minimum(np.abs(part), 511)].sum()) for part in details]
    return min(zip(costs, map(abs, numbers), numbers, strict=True))[2]


def choose_filters(channel: np.ndarray, is_luma: bool) -> np.ndarray:
    """Return the numbers of the filters, (2, 2) uint8 by scale − 1 and direction, that leave the smallest details."""
    chosen = np.zeros((wavelet.FILTERED_SCALES, 2), dtype=np.uint8)
    low = channel
    for scale in range(min(wavelet.FILTERED_SCALES, wavelet.num_decompositions(*channel.shape))):
        low, hl, lh, _ = wavelet.split_once(low, is_luma or scale > 0)
        for direction, (base, details) in enumerate(((low.T, hl.T), (low, lh))):
            every = max(1, details.size // _COST_CELLS)
            base, details = base[:, ::every], details[:, ::every]
            chosen[scale, direction] = _least(
                range(len(wavelet.FILTERS)),
                (details + wavelet.predicted(base, len(details), number) for number in range(len(wavelet.FILTERS))),
            )
    return chosen
