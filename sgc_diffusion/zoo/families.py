"""The decoder families: class name in `model_index.json` → the module that holds the class.

A family is a `SemanticCompressionPipeline` that writes `draw`. Its module is imported when a pipeline of it is loaded,
so that nobody pays for the others. To add one: write `sgc_diffusion/families/NAME.py` and a row here, or, from another
package, call `register_family`.
"""

from __future__ import annotations

import importlib
from typing import Any

FAMILIES = {
    "LatentDiffusionCompressionPipeline": "sgc_diffusion.families.latent_diffusion",
    "ControlNetCompressionPipeline": "sgc_diffusion.families.controlnet",
    "PreviewCompressionPipeline": "sgc_diffusion.families.preview",
    "VaeCompressionPipeline": "sgc_diffusion.families.vae",
    "GanCompressionPipeline": "sgc_diffusion.families.gan",
}


def register_family(class_name: str, module: str) -> None:
    """Let `from_pretrained` find a family of another package.

    Args:
        class_name: of the pipeline class, which `save_pretrained` writes into `model_index.json`.
        module: that holds it, such as `my_package.my_family`.

    Raises:
        ValueError: another module holds a family of this name already.
    """
    if FAMILIES.setdefault(class_name, module) != module:
        raise ValueError(f"`class_name` {class_name} is taken by {FAMILIES[class_name]}; name the family otherwise")


def family_class(class_name: str) -> Any:
    """Return the class of a family; KeyError for a name that is not registered."""
    return getattr(importlib.import_module(FAMILIES[class_name]), class_name)
