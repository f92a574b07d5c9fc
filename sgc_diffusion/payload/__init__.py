"""The semantic payload: everything that crosses from the encoder to the decoder.

    image ──analyze──▶ SemanticPayload ──encode──▶ bytes ──decode──▶ SemanticPayload ──synthesize──▶ image

Frozen, validated, numpy only. What is here is exactly what the file holds: `encode` and `decode` are lossless for it.
"""

from sgc_diffusion.payload.alpha import AlphaLayer
from sgc_diffusion.payload.color import ColorLayer
from sgc_diffusion.payload.detail import DetailLevel
from sgc_diffusion.payload.importance import ImportanceLayer
from sgc_diffusion.payload.labels import MAX_GRID_CELLS, MAX_GRID_SIDE, LabelLayer
from sgc_diffusion.payload.latents import LatentLevel
from sgc_diffusion.payload.layer import MAX_KIND, Layer, UnknownLayer
from sgc_diffusion.payload.metadata import ExifLayer, IccProfileLayer
from sgc_diffusion.payload.payload import MAX_IMAGE_SIDE, SemanticPayload
from sgc_diffusion.payload.recipe import PRESETS, PROFILES, SCHEDULERS, DecoderRecipe, Preset, Profile
from sgc_diffusion.payload.regions import Region, RegionsLayer
from sgc_diffusion.payload.steering import Steering

__all__ = [
    "MAX_GRID_CELLS",
    "MAX_GRID_SIDE",
    "MAX_IMAGE_SIDE",
    "MAX_KIND",
    "PRESETS",
    "PROFILES",
    "SCHEDULERS",
    "AlphaLayer",
    "ColorLayer",
    "DecoderRecipe",
    "DetailLevel",
    "ExifLayer",
    "IccProfileLayer",
    "ImportanceLayer",
    "LabelLayer",
    "LatentLevel",
    "Layer",
    "Preset",
    "Profile",
    "Region",
    "RegionsLayer",
    "SemanticPayload",
    "Steering",
    "UnknownLayer",
]
