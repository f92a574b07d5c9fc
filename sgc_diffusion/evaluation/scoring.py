"""Metrics → rows, kept beside the decoded pictures so that a second run does not measure again.

original.png, decoded.png ──evaluator.measure──▶ row["metrics"]      NAME.metrics.json
all of seed 0             ──evaluator's set────▶ set_metrics         set.metrics.json
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from sgc_diffusion.evaluation.codecs.codec import write_file
from sgc_diffusion.evaluation.coding import Coded, decoded_path
from sgc_diffusion.evaluation.metrics import Evaluator
from sgc_diffusion.evaluation.pictures import Picture
from sgc_diffusion.evaluation.processes import describe_error

WHOLE_SET = "all pictures"  # what a failure of the metrics of a set names as its picture


class Scorer:
    """Adds metrics to rows.

    Args:
        evaluator: of `metrics.load_metrics`.
        key: says which metrics and which weights these are; what was measured under another key is measured again.
    """

    def __init__(self, evaluator: Evaluator, key: str = "") -> None:
        self.evaluator = evaluator
        self._key = "|".join([key, type(evaluator).__name__, *sorted(evaluator.unavailable)])

    def score(
        self,
        coded: Coded,
        references: Mapping[str, Picture],
        folder: Path,
        on_done: Callable[[], object] = lambda: None,
    ) -> dict[str, float | None]:
        """Give each row its `metrics`; return those of the set. A row that cannot be measured becomes a failure.

        A row whose picture is not among `references` gets the metrics that need none, and counts not for the set.
        """
        scored: list[tuple[Path, Path, str]] = []
        for row in coded.rows:
            reference, decoded = references.get(row["image"]), decoded_path(folder, row["image"], row["seed"])
            original = None if reference is None else reference.path
            store = folder / f"{decoded.stem}.metrics.json"
            try:
                digest = self._digest(*filter(None, (original, decoded)))
                row["metrics"] = _kept(store, digest, partial(self._measure, original, decoded))
                if row["seed"] == 0 and original is not None:
                    scored.append((original, decoded, digest))
            except Exception as error:  # of whatever kind, it costs one picture and not the run
                row["metrics"] = {}
                message = f"metrics of seed {row['seed']}: {describe_error(error)}"
                coded.failures.append({"image": row["image"], "error": message})
            on_done()
        if len(scored) < 2:
            return {}
        joint = hashlib.sha256("".join(digest for _, _, digest in scored).encode()).hexdigest()[:16]
        try:
            return _kept(folder / "set.metrics.json", joint, lambda: self._measure_set([pair[:2] for pair in scored]))
        except Exception as error:
            coded.failures.append({"image": WHOLE_SET, "error": f"metrics of the set: {describe_error(error)}"})
            return {}

    def _measure(self, original: Path | None, decoded: Path) -> dict[str, float]:
        return self.evaluator.measure(None if original is None else read_rgb(original), read_rgb(decoded))

    def _measure_set(self, pairs: list[tuple[Path, Path]]) -> dict[str, float]:
        self.evaluator.start_set()
        for original, decoded in pairs:
            self.evaluator.add(read_rgb(original), read_rgb(decoded))
        return self.evaluator.finish_set()

    def _digest(self, *paths: Path) -> str:
        digest = hashlib.sha256(self._key.encode())
        for path in paths:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def read_rgb(path: Path) -> np.ndarray:
    """Return a picture as (H, W, 3) uint8."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _kept(store: Path, digest: str, measure: Callable[[], dict[str, float]]) -> dict[str, float | None]:
    """Return figures that were kept under the same digest, else measure and keep; what is not finite becomes None."""
    try:
        kept = json.loads(store.read_text("utf-8"))
        if kept["digest"] == digest:
            return kept["metrics"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    metrics = {name: float(value) if math.isfinite(value) else None for name, value in measure().items()}
    write_file(json.dumps({"digest": digest, "metrics": metrics}, allow_nan=False).encode(), store)
    return metrics
