"""The codec as a diffusers pipeline.

image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──__call__──▶ image
└───────────────────── compress ─────────────────┘  └────────────── decompress ────────────────┘

Composition only: each stage lives in its own folder, and a family writes `draw`.
"""

from sgc_diffusion.pipeline.base import SemanticCompressionPipeline
from sgc_diffusion.pipeline.decompression import Files
from sgc_diffusion.pipeline.drawing import Payloads, StepCallback

__all__ = ["Files", "Payloads", "SemanticCompressionPipeline", "StepCallback"]
