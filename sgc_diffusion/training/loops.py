"""What every training run of the recipes needs: options, a deadline, checkpoints that survive, a log, sheets.

for step in run.steps(total): … run.log(…)      # stops at the deadline; `run` again continues
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import nn


def recipe_parser(documentation: str | None, recipe: Path) -> argparse.ArgumentParser:
    """Return the options of a training: `--runs`, `--recipe`, `--max-minutes`.

    Args:
        documentation: of the script.
        recipe: its recipe.toml; the runs are in a folder of the recipe's name.
    """
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs") / recipe.parent.name, help="caches and checkpoints")
    parser.add_argument("--recipe", type=Path, default=recipe)
    parser.add_argument("--max-minutes", type=float, default=1e9, help="stop after this long; run again to go on")
    return parser


class TrainingRun:
    """One resumable run in a folder of its own: `checkpoint.pt`, `log.jsonl`.

    Args:
        folder: created if missing.
        objects: name → anything with `state_dict` and `load_state_dict`; saved and restored together.
        max_minutes: stop (with a checkpoint) after this long; run the same command again to go on.
        save_every: steps between checkpoints.
    """

    def __init__(self, folder: Path, objects: dict[str, Any], *, max_minutes: float, save_every: int = 250) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.objects, self.save_every = folder, objects, save_every
        self.max_seconds = 60 * max_minutes
        self.step, self.seconds_before = 0, 0.0
        self._started = time.monotonic()
        self._recent: dict[str, list[float]] = {}
        if (folder / "checkpoint.pt").exists():
            state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
            for name, stateful in objects.items():
                stateful.load_state_dict(state["objects"][name])
            self.step, self.seconds_before = state["step"], state["seconds"]

    @property
    def seconds(self) -> float:
        """Training time so far, over all sessions of this run."""
        return self.seconds_before + time.monotonic() - self._started

    def save(self) -> None:
        """Write the checkpoint to a temporary file and rename it."""
        states = {name: stateful.state_dict() for name, stateful in self.objects.items()}
        temporary = self.folder / "checkpoint.tmp"
        torch.save({"step": self.step, "seconds": self.seconds, "objects": states}, temporary)
        os.replace(temporary, self.folder / "checkpoint.pt")

    def steps(self, total: int, every: int = 0, then: Callable[[int], None] | None = None) -> Iterator[int]:
        """Yield step numbers until `total` or the deadline, saving on the way.

        Args:
            total: the step to stop before.
            every: call `then(step)` each so many steps and after the last.
            then: such as a validation.
        """
        while self.step < total and time.monotonic() - self._started < self.max_seconds:
            yield self.step
            self.step += 1
            if self.step % self.save_every == 0:
                self.save()
            if then is not None and (self.step == total or (every and self.step % every == 0)):
                then(self.step)
        self.save()

    def log(self, every: int = 50, **values: float) -> None:
        """Collect values; each `every` steps append their means to `log.jsonl`."""
        for name, value in values.items():
            self._recent.setdefault(name, []).append(float(value))
        if (self.step + 1) % every == 0:
            means = {name: round(sum(recent) / len(recent), 5) for name, recent in self._recent.items()}
            self.write_log(self.step + 1, **means)
            self._recent.clear()

    def write_log(self, step: int, **values: float) -> None:
        """Append one line to `log.jsonl`."""
        line = {"step": step, "seconds": round(self.seconds), **values}
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")


def warmup_cosine(step: int, total: int, *, warmup: int = 100, floor: float = 0.05) -> float:
    """Return the learning rate factor: linear warm-up, then a cosine from 1 down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def write_sheet(rows: Sequence[torch.Tensor], path: Path) -> None:
    """Write pictures side by side, a row for each batch (B, 3, H, W) in [−1, 1]."""
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).clamp(-1, 1)
    Image.fromarray(((sheet.permute(1, 2, 0) / 2 + 0.5) * 255).round().byte().cpu().numpy()).save(path)


@contextmanager
def averaged(model: nn.Module, average: EMAModel) -> Iterator[None]:
    """Lend a model its averaged weights."""
    average.store(model.parameters())
    average.copy_to(model.parameters())
    try:
        yield
    finally:
        average.restore(model.parameters())


def load_averaged(model: nn.Module, checkpoint: Path) -> nn.Module:
    """Load the averaged weights of a run (and its buffers as they are) and freeze the model.

    Args:
        model: of the class that was trained.
        checkpoint: a `TrainingRun`'s, with the objects `model` and `average`.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["objects"]
    model.load_state_dict(state["model"])
    average = EMAModel(model.parameters())
    average.load_state_dict(state["average"])
    average.copy_to(model.parameters())
    return model.eval().requires_grad_(False)
