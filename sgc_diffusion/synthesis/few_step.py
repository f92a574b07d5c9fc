"""A denoiser distilled to a few steps, stored as the part that differs from it.

noisy latents + conditions ──the denoiser's own way down──▶ features ──FewStepHead's way up──▶ v

The way down, which reads labels and colors, is the denoiser's; the way up was trained to reach clean latents in one
leap from each of `FEW_STEPS` noise levels. Of two leaps from noise, the second draws the first one's picture over
(`resolution.plan_passes`); with `strength` below 1, leaps and fresh noise alternate as in latent consistency models
(Luo et al., https://arxiv.org/abs/2310.04378).
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.func import functional_call

from sgc_diffusion.synthesis.latent_diffusion import Predictor
from sgc_diffusion.synthesis.tiling import Window


class FewStepHead(ModelMixin, ConfigMixin):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The way up of a `UNet2DModel`: its `up_blocks`, `conv_norm_out` and `conv_out`, by these names.

    Args:
        denoiser: configuration of the whole denoiser.
    """

    @register_to_config
    def __init__(self, denoiser: dict[str, Any]) -> None:
        super().__init__()
        whole: Any = UNet2DModel.from_config(denoiser)
        self.up_blocks, self.conv_norm_out, self.conv_out = whole.up_blocks, whole.conv_norm_out, whole.conv_out

    @classmethod
    def from_denoiser(cls, unet: UNet2DModel) -> FewStepHead:
        """Return the head that does what the denoiser itself does: where training begins."""
        head = cls({name: value for name, value in unet.config.items() if not name.startswith("_")})
        own = head.state_dict()
        head.load_state_dict({name: value for name, value in unet.state_dict().items() if name in own})
        return head

    def forward(self, unet: nn.Module, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Return the velocity (B, C, h, w).

        Args:
            unet: the denoiser whose way down is taken.
            sample: (B, C + P, h, w) noisy latents and condition planes.
            timestep: () or (B,).
        """
        return functional_call(unet, dict(self.named_parameters()), (sample, timestep)).sample


def few_step_predictor(unet: nn.Module, head: FewStepHead, condition: torch.Tensor) -> Predictor:
    """Return the prediction of a head; guidance was distilled into it.

    Args:
        unet: its denoiser.
        head: as above.
        condition: (B, P, h, w): label planes, then color planes.
    """

    def predict(latents: torch.Tensor, timestep: torch.Tensor, window: Window) -> torch.Tensor:
        return head(unet, torch.cat([latents, condition[..., *window]], dim=1), timestep)

    return predict
