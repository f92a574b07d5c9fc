"""Generative image codec for extremely low bitrates.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──synthesize──▶ image
└───────────────────── compress ─────────────────┘  └────────────────── decompress ─────────────────┘

Names are imported when they are first asked for: files can be read, verified, previewed and thinned without torch.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from sgc_diffusion.extras import require
from sgc_diffusion.torchvision_hook import install_hook

if TYPE_CHECKING:
    from sgc_diffusion.bitstream import BitstreamError, decode, encode
    from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

__version__ = "0.1.0"
__all__ = [
    "BitstreamError",
    "ColorLayer",
    "DecoderRecipe",
    "LabelLayer",
    "SemanticCompressionPipeline",
    "SemanticPayload",
    "decode",
    "encode",
]
_MODULES = {
    "BitstreamError": "sgc_diffusion.bitstream",
    "ColorLayer": "sgc_diffusion.payload",
    "DecoderRecipe": "sgc_diffusion.payload",
    "LabelLayer": "sgc_diffusion.payload",
    "SemanticCompressionPipeline": "sgc_diffusion.pipeline",
    "SemanticPayload": "sgc_diffusion.payload",
    "decode": "sgc_diffusion.bitstream",
    "encode": "sgc_diffusion.bitstream",
}

install_hook()  # before diffusers and transformers, which look for torchvision when they are imported
# It warns of kernels for 4-bit weights, which are not used here, into the terminal of everybody who has it installed.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    """Import a public name, and what it needs, only when it is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "SemanticCompressionPipeline":
        require("torch", "Analyzing and drawing pictures")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
