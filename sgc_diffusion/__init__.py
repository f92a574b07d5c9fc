"""Generative image codec for extremely low bitrates.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──synthesize──▶ image
└───────────────────── compress ─────────────────┘  └────────────────── decompress ─────────────────┘
"""

from typing import TYPE_CHECKING, Any

from sgc_diffusion.bitstream import BitstreamError, decode, encode
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.torchvision_hook import install_hook

if TYPE_CHECKING:
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

install_hook()  # before diffusers and transformers, which look for torchvision when they are imported


def __getattr__(name: str) -> Any:
    """Import the pipeline, and torch with it, only when it is asked for: files can be inspected without."""
    if name == "SemanticCompressionPipeline":
        from sgc_diffusion.pipeline import SemanticCompressionPipeline

        return SemanticCompressionPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
