"""Feature maps of a VGG19 (Simonyan & Zisserman, https://arxiv.org/abs/1409.1556), up to its fifth group.

pixels ──1×1──▶ 2 convolutions ─▶ map 1 ─pool▶ 2 ─▶ map 2 ─pool▶ 4 ─▶ map 3 ─pool▶ 4 ─▶ map 4 ─pool▶ 1 ─▶ map 5

Each convolution but the first is 3×3 with reflected borders and a ReLU after it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.weights import WeightsError, fill, load_state

CONVOLUTIONS_PER_GROUP = (2, 2, 4, 4, 1)
NUM_MAPS = len(CONVOLUTIONS_PER_GROUP)


class Vgg19(nn.ModuleDict):
    """A VGG19 of any width, frozen.

    Args:
        path: safetensors with `conv0.*`, 1×1 on RGB in [0, 1], and `conv11.*` … `conv51.*`; the widths are read from
            it. Other tensors, such as the `conv…_aux.*` that a distilled network was trained with, are left out.

    Raises:
        WeightsError: the file cannot be read, or a convolution is missing or of the wrong shape.
    """

    def __init__(self, path: Path) -> None:
        names = ["conv0", *(f"conv{group}{index}" for group, index in _places())]
        state = {key: value for key, value in load_state(path).items() if key.split(".")[0] in names}
        layers = {}
        for name in names:
            if f"{name}.weight" not in state:
                raise WeightsError(f"{path} holds no weights of a VGG19: {name}.weight is missing")
            outputs, inputs, side = state[f"{name}.weight"].shape[:3]
            layers[name] = nn.Conv2d(inputs, outputs, side, padding=side // 2, padding_mode="reflect")
        super().__init__(layers)
        fill(self, state, path)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of pictures.

        Args:
            pixels: (B, 3, H, W) float in [0, 1], 32 pixels a side at least.

        Returns:
            `NUM_MAPS` maps (B, C, H / 2ⁿ, W / 2ⁿ), n = 0 … 4, at least 0.
        """
        maps: list[torch.Tensor] = []
        hidden = self["conv0"](pixels)
        for group, index in _places():
            if index == 1 and group > 1:
                hidden = functional.max_pool2d(hidden, 2)
            hidden = self[f"conv{group}{index}"](hidden).relu()
            if index == CONVOLUTIONS_PER_GROUP[group - 1]:
                maps.append(hidden)
        return maps


def _places() -> list[tuple[int, int]]:
    """Return group and index of each convolution but the first, counted from 1."""
    return [(group, index + 1) for group, count in enumerate(CONVOLUTIONS_PER_GROUP, 1) for index in range(count)]
