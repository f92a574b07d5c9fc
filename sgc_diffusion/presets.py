"""Named ways to draw, to be given to `analyze`, `compress` and `decompress` or kept as a pipeline's default.

A preset is nothing but values of `DecoderRecipe`.
"""

from __future__ import annotations

from typing import Any

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
