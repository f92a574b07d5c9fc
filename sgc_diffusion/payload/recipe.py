"""How a picture is meant to be drawn: profiles, samplers, presets, and the recipe that a file holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class DecoderRecipe:
    """How the encoder meant the picture to be drawn; a decoder may be told otherwise.

    Attributes:
        profile: name of the pipeline, a key of `PROFILES`.
        weights_hash: first two bytes of the SHA-256 over the pipeline's weights, 0 … 65535; 0 is unknown.
        scheduler: name of the sampler, one of `SCHEDULERS`.
        num_inference_steps: steps of the whole schedule, 1 … 1000; `strength` of them are run.
        strength: how far up the noise schedule the color map is lifted, 0.01 … 1 in hundredths.
        guidance_scale: classifier-free guidance on the labels, 0 … 25.5 in tenths; 1 is none.
        seed: of the noise, 0 … 65535.

    Raises:
        ValueError: a value outside its range or off its grid.
    """

    profile: str = "landscape-256"
    weights_hash: int = 0
    scheduler: str = "dpm-solver++"
    num_inference_steps: int = 20
    strength: float = 1.0
    guidance_scale: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {self.profile!r}")
        if self.scheduler not in SCHEDULERS:
            raise ValueError(f"`scheduler` must be one of {', '.join(SCHEDULERS)}, got {self.scheduler!r}")
        check_integer("weights_hash", self.weights_hash, 0, 65535)
        check_integer("num_inference_steps", self.num_inference_steps, 1, 1000)
        check_integer("seed", self.seed, 0, 65535)
        _check_grid("strength", self.strength, 100, 1, 100)
        _check_grid("guidance_scale", self.guidance_scale, 10, 0, 255)


PROFILES = {  # Part of the file format: append, never renumber.
    "custom": 0,
    "landscape-256": 1,
    "semantic-synthesis-512": 2,
    "semantic-synthesis-256": 3,
    "controlnet-seg": 4,
}
SCHEDULERS = {"dpm-solver++": 0, "ddim": 1, "unipc": 2, "lcm": 3}  # Part of the file format: append, never renumber.


def check_integer(name: str, value: int, lowest: int, highest: int) -> None:
    """Raise ValueError unless a value is an integer in a range."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"`{name}` must be an integer from {lowest} to {highest}, got {value!r}")


def _check_grid(name: str, value: float, parts: int, lowest: int, highest: int) -> None:
    if not (isinstance(value, (int, float)) and lowest <= value * parts <= highest + 1e-9):
        raise ValueError(f"`{name}` must be from {lowest / parts} to {highest / parts}, got {value!r}")
    if abs(value * parts - round(value * parts)) > 1e-6:
        raise ValueError(f"`{name}` must be a multiple of {1 / parts}, got {value!r}; round it")


PRESETS: dict[str, dict[str, Any]] = {
    # Color-initialized: for denoisers that see only labels.
    "sdedit": {"scheduler": "dpm-solver++", "num_inference_steps": 20, "strength": 0.7, "guidance_scale": 2.0},
    # The defaults of DecoderRecipe. Trained here to see the color map: it starts from noise alone, which is sharper
    # than from the blurred map; measured by `eval/drawing_choices.py`.
    "landscape-256": {"scheduler": "dpm-solver++", "num_inference_steps": 20, "strength": 1.0, "guidance_scale": 3.0},
    # With the few-step head: guidance is distilled into it, the value only spares a byte of the file.
    "fast": {"scheduler": "lcm", "num_inference_steps": 1, "strength": 1.0, "guidance_scale": 3.0},
    # Bordin & Maugey, MMSP 2023, section III-A: LDM semantic_synthesis512, 200 DDIM steps, guidance 2, and the color
    # map lifted to 0.7 of the schedule.
    "paper": {"scheduler": "ddim", "num_inference_steps": 200, "strength": 0.7, "guidance_scale": 2.0},
}


def preset_values(name: str) -> dict[str, Any]:
    """Return the recipe values of a named preset.

    Raises:
        ValueError: an unknown name.
    """
    if name not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {name!r}")
    return dict(PRESETS[name])
