"""A denoiser distilled to a few steps, stored as the part that differs from it.

noisy latents + conditions ──the denoiser's own way down──▶ features ──FewStepHead's way up──▶ v

The way down, which reads labels and colors, is the denoiser's; the way up was trained to reach clean latents in one
leap from each of `FEW_STEPS` noise levels. Of two leaps from noise, the second draws the first one's picture over
(`resolution.plan_passes`); with `strength` below 1, leaps and fresh noise alternate as in latent consistency models
(Luo et al., https://arxiv.org/abs/2310.04378).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import nn

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
        return head.train(unet.training)

    def forward(self, unet: nn.Module, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """Return the velocity, (B, C, h, w) floats. The denoiser is left as it is, also while this runs.

        Args:
            unet: the denoiser whose way down is taken; a compiled one is run uncompiled.
            sample: (B, C + P, h, w) floats: noisy latents and condition planes.
            timestep: () or (B,) integers, 0 … 999.
        """
        unet = getattr(unet, "_orig_mod", unet)  # what torch.compile wrapped
        hooks, arguments = _placement_hooks(unet), (sample, timestep)
        for hook in hooks:
            arguments, _ = hook.pre_forward(unet, *arguments)
        velocity = self._join(unet)(*arguments, return_dict=False)[0]
        for hook in reversed(hooks):
            velocity = hook.post_forward(unet, velocity)
        return velocity

    def _join(self, unet: nn.Module) -> nn.Module:
        """Return a denoiser of the way down of `unet` and this way up: an object of its own that copies no weights.

        Swapping the weights of `unet` itself, as `torch.func.functional_call` does, would be seen by every other
        thread that draws with it.
        """
        joined = copy.copy(unet)
        for name in ("forward", "_old_forward", "_hf_hook", "_diffusers_hook"):  # these run `unet`
            joined.__dict__.pop(name, None)
        joined._modules = {**unet._modules, **self._modules}
        for name in ("_forward_pre_hooks", "_forward_hooks"):  # whoever watches `unet` is shown `unet`
            watchers = {key: partial(_show, unet, watcher) for key, watcher in getattr(unet, name).items()}
            setattr(joined, name, watchers)
        return joined


def _show(unet: nn.Module, watcher: Callable, _: nn.Module, *arguments: Any) -> Any:
    return watcher(unet, *arguments)


def _placement_hooks(unet: nn.Module) -> list[Any]:
    """Return the hooks that bring weights to the device when a module is called, outermost first.

    Both libraries put them in place of `forward`: accelerate one (offloading of models and of layers), diffusers a
    registry (offloading of groups).
    """
    registry, hook = getattr(unet, "_diffusers_hook", None), getattr(unet, "_hf_hook", None)
    return [*(reversed(registry.hooks.values()) if registry else ()), *([hook] if hook else ())]


def few_step_predictor(unet: nn.Module, head: FewStepHead, condition: torch.Tensor) -> Predictor:
    """Return the prediction of a head; guidance was distilled into it.

    Args:
        unet: its denoiser.
        head: its way up to clean latents in few steps.
        condition: (B, P, h, w) floats: label planes, then color planes.
    """

    def predict(latents: torch.Tensor, timestep: torch.Tensor, window: Window) -> torch.Tensor:
        return head(unet, torch.cat([latents, condition[..., *window]], dim=1), timestep)

    return predict
