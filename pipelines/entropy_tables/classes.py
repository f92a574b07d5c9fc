"""Fit the tables of `sgc_diffusion.bitstream.class_model`: new or used before, which of those, and the priors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import additive
import numpy as np

from sgc_diffusion.bitstream import label_context as context
from sgc_diffusion.bitstream.class_model import FACTOR_ONE, MAX_AVAILABLE, MAX_RANK, NUM_GROUPS, UNKNOWN
from sgc_diffusion.taxonomy import class_table, load_taxonomy

PRIOR_TOTAL = 2048  # prior × both factors stays below the coder's 65536
# How the ADE20K names that label the photographs translate to COCO-Stuff, with judged shares where one becomes several.
SHARES = {
    "sky": {"sky-other": 5, "clouds": 5, "fog": 1},
    "mountain": {"mountain": 6, "snow": 2, "hill": 2},
    "hill": {"hill": 1},
    "tree": {"tree": 12, "bush": 2, "leaves": 1, "branch": 1},
    "palm": {"tree": 1},
    "plant": {"bush": 3, "plant-other": 4, "leaves": 1, "tree": 1},
    "flower": {"flower": 1},
    "grass": {"grass": 8, "straw": 1, "moss": 1},
    "field": {"grass": 5, "dirt": 2, "straw": 2, "playingfield": 1},
    "sea": {"sea": 3, "water-other": 1},
    "water": {"river": 3, "water-other": 3, "sea": 1},
    "waterfall": {"river": 1, "water-other": 1},
    "sand": {"sand": 1},
    "earth": {"dirt": 4, "ground-other": 3, "mud": 1, "sand": 1, "snow": 1},
    "rock": {"rock": 5, "stone": 2, "gravel": 1},
    "road": {"road": 4, "pavement": 1},
    "path": {"dirt": 1, "road": 1, "pavement": 1, "gravel": 1},
    "building": {"building-other": 4, "house": 2, "skyscraper": 1, "roof": 1},
    "wall": {"wall-other": 2, "wall-stone": 2, "wall-concrete": 2},
    "fence": {"fence": 3, "railing": 1},
    "bridge": {"bridge": 1},
    "creature": {"person": 4, "bird": 1, "cow": 1, "sheep": 1, "horse": 1},
    "object": {"boat": 3, "car": 2, "bench": 1, "structural-other": 1, "metal": 1, "wood": 3},
    "other": {"fog": 1, "wood": 1, "solid-other": 1},
}


def events(label_map: np.ndarray) -> Iterator[tuple[int, int, int, list[int], list[int]]]:
    """Yield band, label, label above or −1, neighbors and available labels of each cell unlike all its neighbors.

    Args:
        label_map: (h, w) uint8.
    """
    near = context.neighbors(label_map[None])[:, 0]
    is_open = (near[: context.NUM_CANDIDATES] != label_map).all(axis=0)
    is_open[0, 0] = True
    named: list[int] = []
    for row, column in np.argwhere(is_open).tolist():
        around = near[: context.NUM_CANDIDATES, row, column].tolist() if row or column else []
        label = int(label_map[row, column])
        available = [known for known in named if known not in around]
        yield context.row_band(row, len(label_map)), label, around[1] if around else -1, around, available
        if label in named:
            named.remove(label)
        named.insert(0, label)


def fit(native_maps: np.ndarray, native_groups: np.ndarray, coco_maps: np.ndarray) -> dict[str, np.ndarray]:
    """Return every table of the class model.

    Args:
        native_maps: (B, h, w) uint8 in the numbering of the photographs' labels (0 other, k = ADE20K class k).
        native_groups: (256,) the landscape-24 group of each.
        coco_maps: (B', h, w) uint8 coco-stuff-182 ids.
    """
    group_maps = native_groups.astype(np.uint8)[native_maps]
    is_new, choices = [], []
    news = {"native": Counter(), "group": Counter(), "coco": Counter()}
    follow, bands = np.zeros((NUM_GROUPS + 1, NUM_GROUPS + 1)), np.zeros((4, NUM_GROUPS + 1))
    for name, maps in (("native", native_maps), ("coco", coco_maps), ("group", group_maps)):
        for label_map in maps:
            for band, label, above, around, available in events(label_map):
                if label not in available:
                    news[name][label] += 1
                if name == "native":
                    groups = (UNKNOWN if above < 0 else int(native_groups[above]), int(native_groups[label]))
                    _note(is_new, choices, native_groups, (band, label, groups[0], around, available))
                    if label not in available:
                        follow[groups] += 1
                        bands[(band + 1) // 2, groups[1]] += 1
    tables = _fit_decisions(is_new, choices)
    tables["class_follow"], tables["class_band"] = _factors(follow), _factors(bands)
    return tables | _priors(news)


def _note(is_new: list, choices: list, groups: np.ndarray, event: tuple) -> None:
    band, label, group, around, available = event
    if not available:
        return
    new_context = (band * 2 + (len(set(around)) == 1)) * MAX_AVAILABLE + min(len(available), MAX_AVAILABLE) - 1
    is_new.append((new_context, label not in available))
    for rank, known in enumerate(available[:-1] if label in available else []):
        left = min(len(available) - rank, MAX_RANK + 1) - 2
        pair = group * (NUM_GROUPS + 1) + int(groups[known])
        choices.append((min(rank, MAX_RANK - 1) * MAX_RANK + left, pair, known == label))
        if known == label:
            break


def _fit_decisions(is_new: list, choices: list) -> dict[str, np.ndarray]:
    sizes = [7 * 2 * MAX_AVAILABLE]
    data = np.array(is_new)
    (new,) = additive.fit(*additive.count([(data[:, 1], [data[:, 0]])], sizes), sizes, penalty=1.0)
    sizes = [MAX_RANK * MAX_RANK, (NUM_GROUPS + 1) ** 2]
    data = np.array(choices)
    rank, pair = additive.fit(*additive.count([(data[:, 2], [data[:, 0], data[:, 1]])], sizes), sizes, penalty=3.0)
    return {"class_new": new, "class_rank": rank, "class_pair": pair}


def _factors(counts: np.ndarray) -> np.ndarray:
    """How much likelier each column is in each row than overall, damped; 16 is as likely, at most 64 and at least 2."""
    overall = (counts.sum(0) + 20) / (counts.sum(0) + 20).sum()
    likelihood = (counts + 40 * overall) / (counts.sum(1, keepdims=True) + 40)
    return np.clip(np.round(FACTOR_ONE * (likelihood / overall)), 2, 64).astype(np.uint8)


def _priors(news: dict[str, Counter]) -> dict[str, np.ndarray]:
    native = np.array([news["native"][index] for index in range(151)], dtype=float)
    group = np.array([news["group"][index] for index in range(NUM_GROUPS)], dtype=float)
    ade = native[1:] / native[1:].sum() * 0.85 + 0.15 / 150
    names = load_taxonomy("coco-stuff-182").names
    translated = np.zeros(len(names))
    merged = class_table("ade20k-150", "landscape-24")
    for name, share in zip(load_taxonomy("landscape-24").names, _group_shares(native[1:], merged), strict=True):
        for target, part in SHARES[name].items():
            translated[names.index(target)] += share * part / sum(SHARES[name].values())
    seen = np.array([news["coco"][index] for index in range(len(names))], dtype=float)
    coco = 0.75 * translated / translated.sum() + 0.15 * (seen + 0.1) / (seen + 0.1).sum() + 0.1 / len(names)
    priors = {"landscape-24": (group + 1) / (group + 1).sum(), "ade20k-150": ade, "coco-stuff-182": coco}
    return {
        f"prior_{name}": np.maximum(np.round(prior * PRIOR_TOTAL), 1).astype(np.uint16)
        for name, prior in priors.items()
    }


def _group_shares(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    shares = np.bincount(groups, weights=counts, minlength=NUM_GROUPS)
    return shares / shares.sum()
