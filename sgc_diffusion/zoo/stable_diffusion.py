"""A Stable Diffusion 1.x model and a ControlNet for segmentation maps → the components of a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import ControlNetModel
from torch import nn

from sgc_diffusion.zoo.hub import HubOptions, readable_hub_errors
from sgc_diffusion.zoo.model_index import class_name, read_index
from sgc_diffusion.zoo.names import check_place, resolve_name

STABLE_DIFFUSION = {"StableDiffusionPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionImg2ImgPipeline"}


def load_components(
    base: str, controlnet: str | Path | nn.Module, hub: HubOptions, loading: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    """Load what `ControlNetCompressionPipeline` is made of.

    Args:
        base: Hub id or folder of a Stable Diffusion 1.x pipeline.
        controlnet: Hub id or folder of a ControlNet, or the model itself.
        hub: how both are fetched; the revision is the base's.
        loading: further arguments of diffusers' `from_pretrained`: dtype, variant, …
        given: components that the caller gives himself instead of the base's.

    Raises:
        ValueError: a base or a ControlNet that is something else.
        OSError: one that cannot be reached.
    """
    from diffusers import StableDiffusionPipeline  # which takes a second, and without torchvision warns of its parts

    source = resolve_name(base)
    if not isinstance(controlnet, nn.Module):
        check_place("controlnet", str(controlnet))
    with readable_hub_errors(base):
        family = class_name(read_index(source, hub))
        if family not in STABLE_DIFFUSION:
            raise ValueError(
                f"{base} holds a {family}, but `controlnet` goes with a Stable Diffusion 1.x pipeline as its base"
            )
        loaded = StableDiffusionPipeline.from_pretrained(
            source, safety_checker=None, feature_extractor=None, **loading, **hub.arguments(), **given
        )
    if not isinstance(controlnet, nn.Module):
        controlnet = _load_controlnet(str(controlnet), hub.of_another_repository(), loading)
    parts = ("vae", "unet", "scheduler", "text_encoder", "tokenizer")
    return {name: getattr(loaded, name) for name in parts} | {"controlnet": controlnet}


def _load_controlnet(name: str, hub: HubOptions, loading: dict[str, Any]) -> ControlNetModel:
    """Load a ControlNet from a folder or the Hub; errors as of `load_components`."""
    with readable_hub_errors(name):
        has_config = not Path(name).is_dir() or (Path(name) / "config.json").is_file()
        config: Any = ControlNetModel.load_config(name, **hub.arguments()) if has_config else {}
        kind = class_name(config)
        if kind != ControlNetModel.__name__:
            raise ValueError(f"`controlnet` {name} holds a {kind}, not a ControlNetModel")
        return ControlNetModel.from_pretrained(name, **loading, **hub.arguments())
