"""Which decoder a file is read with: what the caller wants, or what the file is best read with.

    exact ─────────────────────────────────────────▶ likeness, which is the original
    strength 0 in the recipe, or nearly exact ─────▶ likeness
    anything else ─────────────────────────────────▶ what the pipeline draws with

Nearly exact is a level of detail from `NEARLY_EXACT` up, whose bins of zero are too narrow for a drawing to be seen:
the likeness has about 41 dB there (`eval/ladder.py`). This file needs no torch, so that a command can ask before it
loads a network.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgc_diffusion.payload import SemanticPayload
from sgc_diffusion.synthesis.likeness import highest_level, is_exact

PREVIEW, LIKENESS = "preview", "likeness"
GENERATORS = ("vae", "gan", "diffusion")
DECODERS = (PREVIEW, LIKENESS, *GENERATORS)
PIPELINES = {"vae": "scalable-vae", "gan": "labels-gan", "diffusion": "landscape-256"}  # which draw what others made
NEARLY_EXACT = 10  # level of detail
LIKENESS_STRENGTHS = [1.0]
"""How far up the noise a likeness is lifted, by its finest level of detail; the last is that of all finer ones.

From noise alone, unless a pipeline says otherwise: a denoiser that was trained without likenesses takes the smoothness
of one for what it has to keep, and comes out blurred at any lower strength. The likeness is its condition instead, and
what the levels coded is put back afterwards (`synthesis.detail`).
"""


def choose_decoder(payload: SemanticPayload, decoder: str | None, strength: float, generator: str) -> str:
    """Return the name of the decoder that a payload is read with.

    Args:
        payload: of the file.
        decoder: what the caller wants, one of `DECODERS`; None for the file's default.
        strength: how freely the picture is to be drawn, 0 … 1; 0 is not at all.
        generator: what the pipeline draws with, one of `GENERATORS`.

    Returns:
        `preview`, `likeness` or `generator`. An exact file is never drawn: there is nothing left to fill.
    """
    if decoder == PREVIEW:
        return PREVIEW
    if is_exact(payload) or decoder == LIKENESS or strength == 0:
        return LIKENESS
    return LIKENESS if decoder is None and is_nearly_exact(payload) else generator


def is_nearly_exact(payload: SemanticPayload) -> bool:
    """Return whether a drawing would change nothing of the likeness that can be seen."""
    level = highest_level(payload)
    return level is not None and level.outer_level >= NEARLY_EXACT


def pipeline_of(profile: str, decoder: str | None) -> str:
    """Return the name of the pipeline that a file is drawn with, unless its reader names another one.

    Args:
        profile: of the file: the pipeline that it was made for.
        decoder: what the reader wants; None, or what needs no network, leaves the file its own.
    """
    own = next((generator for generator, name in PIPELINES.items() if name == profile), "diffusion")
    return profile if decoder is None or decoder == own else PIPELINES.get(decoder, profile)


def check_decoder(decoder: object, generators: Sequence[str] = GENERATORS) -> None:
    """Raise ValueError for what is no decoder, or one that a pipeline has not.

    Args:
        decoder: as the user gave it; None is the file's default.
        generators: what the pipeline can draw with.
    """
    if decoder is None or (isinstance(decoder, str) and decoder in (PREVIEW, LIKENESS, *generators)):
        return
    if isinstance(decoder, str) and decoder in GENERATORS:
        raise ValueError(
            f"`decoder` {decoder}: this pipeline has none; it draws with {', '.join(generators)}, and every file can "
            "be read with preview or likeness"
        )
    raise ValueError(f"`decoder` must be one of {', '.join(DECODERS)}, or None for the file's own, got {decoder!r}")
