"""What `sgc inspect` says of importance and regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from sgc_diffusion.payload import DetailLevel, ImportanceLayer, RegionsLayer, SemanticPayload
from sgc_diffusion.payload.importance import NUM_IMPORTANCE_LEVELS
from sgc_diffusion.payload.regions import MAX_SCORE, SPECIAL_NAMES, Region


def describe_steering(payload: SemanticPayload) -> dict[str, Any]:
    """Return the share of each level of importance, and each region; nothing of layers that are not there."""
    result: dict[str, Any] = {}
    if (importance := payload.layer(ImportanceLayer)) is not None:
        counts = np.bincount(importance.levels.ravel(), minlength=NUM_IMPORTANCE_LEVELS)
        shares = (counts / importance.levels.size).round(3).tolist()
        grid = "x".join(map(str, importance.levels.shape))
        result["importance"] = {"grid": grid, "strength": importance.strength, "shares of levels": shares}
    if (regions := payload.layer(RegionsLayer)) is not None:
        names = payload.labels.taxonomy.names
        result["regions"] = {
            f"{number} {_name(region, names)}": _region(region, payload)
            for number, region in enumerate(regions.regions, start=1)
        }
        result["kept"] = _kept(regions, payload)
    return result


def _name(region: Region, names: tuple[str, ...]) -> str:
    return SPECIAL_NAMES.get(region.class_id) or names[region.class_id]


def _region(region: Region, payload: SemanticPayload) -> str:
    pixels = region.pixels(payload.height, payload.width)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return "smaller than a pixel"
    size = f"{columns[-1] - columns[0] + 1}x{rows[-1] - rows[0] + 1}+{columns[0]}+{rows[0]}"
    return f"{size}, {100 * pixels.mean():.1f} % of the picture, score {region.score / MAX_SCORE:.2f}"


def _kept(regions: RegionsLayer, payload: SemanticPayload) -> str:
    """Say how well the inside of the regions is known."""
    steered = [
        layer.level
        for layer in payload.layers
        if isinstance(layer, DetailLevel) and layer.finest.steering is not None and layer.finest.steering.regions
    ]
    if not steered:
        return "outlines alone, no pixels"
    inner = regions.inner_levels[min(steered[-1], len(regions.inner_levels) - 1)]
    return "exactly" if inner == 15 or steered[-1] == 15 else f"down to detail level {inner}"
