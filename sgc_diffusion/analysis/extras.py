"""What a file keeps beside the picture itself: alpha, ICC profile, EXIF data.

alpha ──exact with detail, else as fine as its share of the budget allows──▶ before the detail levels
ICC profile, EXIF ──as they are, if they are to be kept──▶ after them
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sgc_diffusion.analysis.alpha import MAX_SHARE, PLAIN_BYTES, exact_alpha, fit_alpha
from sgc_diffusion.analysis.image_input import LoadedPicture
from sgc_diffusion.payload import AlphaLayer, ColorLayer, ExifLayer, IccProfileLayer, LabelLayer, Layer, SemanticPayload


@dataclass(frozen=True)
class Extras:
    """The layers beside labels, colors and detail.

    Attributes:
        alpha: None if the picture is opaque, or not even the coarsest layer fits.
        after_detail: ICC profile and EXIF data.
        size_bytes: that all of them take in a file.
        metadata_bytes: that those after detail take.
    """

    alpha: AlphaLayer | None
    after_detail: tuple[Layer, ...]
    size_bytes: int
    metadata_bytes: int

    @property
    def before_detail(self) -> tuple[Layer, ...]:
        """Alpha, if there is any."""
        return () if self.alpha is None else (self.alpha,)


def collect_extras(
    picture: LoadedPicture,
    read_alpha: Callable[[], Image.Image | None],
    *,
    has_detail: bool,
    max_bytes: int | None,
    count_bytes: Callable[[SemanticPayload], int],
    keep_metadata: bool,
) -> Extras:
    """Return the layers that a picture gets beside labels, colors and detail.

    Args:
        picture: whole or reduced.
        read_alpha: returns the alpha of the whole picture.
        has_detail: a quality asks for detail, so that alpha is exact.
        max_bytes: of the file; alpha takes a quarter of it at most. Without it and without detail 64 bytes.
        count_bytes: size of the file of a payload.
        keep_metadata: ICC profile and EXIF data are kept.

    Raises:
        ValueError: metadata that the budget has no room for.
    """
    bare = SemanticPayload(
        picture.width,
        picture.height,
        LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"),
        ColorLayer(np.zeros((1, 1, 3), np.int16), 0),
    )
    nothing = count_bytes(bare)

    def count_layer(layer: Layer) -> int:
        return count_bytes(bare.with_layers(layer)) - nothing

    metadata: list[Layer] = []
    if keep_metadata and picture.profile is not None:
        metadata.append(IccProfileLayer(picture.profile))
    if keep_metadata and picture.exif is not None:
        metadata.append(ExifLayer(picture.exif))
    metadata_bytes = sum(map(count_layer, metadata))
    if metadata and max_bytes is not None and metadata_bytes >= max_bytes:
        raise ValueError(
            f"`keep_metadata`: the ICC profile and the EXIF data take {metadata_bytes} bytes, the whole file may take "
            f"{max_bytes}; allow more, or leave them out"
        )
    alpha = None
    if picture.alpha is not None and (whole := read_alpha()) is not None:
        pixels = np.asarray(whole)
        share = PLAIN_BYTES if max_bytes is None else max_bytes // MAX_SHARE
        alpha = exact_alpha(pixels) if has_detail else fit_alpha(pixels, share, count_layer)
    alpha_bytes = 0 if alpha is None else count_layer(alpha)
    return Extras(alpha, tuple(metadata), alpha_bytes + metadata_bytes, metadata_bytes)
