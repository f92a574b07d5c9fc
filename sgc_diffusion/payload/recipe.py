"""How a picture is meant to be drawn: presets, profiles, samplers, and the recipe that a file holds.

Everything about profiles and presets is here: a profile is the pipeline that a file is made for, a preset is a named
way of drawing, and what a file of a profile does not say about drawing is as in the preset of the profile.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sgc_diffusion.payload.scalars import decimal_parts, plain_integer

SCHEDULERS = {"dpm-solver++": 0, "ddim": 1, "unipc": 2, "lcm": 3}  # Part of the file format: append, never renumber.
STRENGTH_PARTS, GUIDANCE_PARTS = 100, 10  # the strength is stored in hundredths, the guidance in tenths


@dataclass(frozen=True)
class Preset:
    """A named way of drawing; the fields are those of `DecoderRecipe`."""

    scheduler: str
    num_inference_steps: int
    strength: float
    guidance_scale: float


# The presets that `PROFILES` names are part of the file format: their values never change.
PRESETS = {
    # With the few-step head: guidance is distilled into it, the value only spares a byte of the file.
    "fast": Preset("lcm", num_inference_steps=1, strength=1.0, guidance_scale=3.0),
    # How the embedded pipeline draws: level with `fine` at 512×512, a little behind at 256×256, several times faster.
    "standard": Preset("lcm", num_inference_steps=2, strength=1.0, guidance_scale=3.0),
    # The defaults of DecoderRecipe, what a file without recipe fields says. Trained here to see the color map: it
    # starts from noise alone, which is sharper than from the blurred map; measured by `eval/drawing_choices.py`.
    "fine": Preset("dpm-solver++", num_inference_steps=20, strength=1.0, guidance_scale=3.0),
    # Color-initialized: for denoisers that see only labels.
    "sdedit": Preset("dpm-solver++", num_inference_steps=20, strength=0.7, guidance_scale=2.0),
    # Bordin & Maugey, MMSP 2023, section III-A: LDM semantic_synthesis512, 200 DDIM steps, guidance 2, and the color
    # map lifted to 0.7 of the schedule.
    "paper": Preset("ddim", num_inference_steps=200, strength=0.7, guidance_scale=2.0),
}


@dataclass(frozen=True)
class Profile:
    """The pipeline that a file is made for.

    Attributes:
        name: of the pipeline.
        number: that stands for it in a file.
        preset: what a file of this profile does not say about drawing is as in this preset.
    """

    name: str
    number: int
    preset: str

    @property
    def defaults(self) -> Preset:
        """The values of the preset."""
        return PRESETS[self.preset]


PROFILES = {  # Part of the file format: append, never change.
    profile.name: profile
    for profile in (
        Profile("custom", 0, "fine"),
        Profile("landscape-256", 1, "fine"),
        Profile("semantic-synthesis-512", 2, "paper"),
        Profile("semantic-synthesis-256", 3, "paper"),
        Profile("controlnet-seg", 4, "fine"),
        Profile("general-256", 5, "fine"),
        Profile("labels-gan", 6, "fine"),
    )
}


@dataclass(frozen=True)
class DecoderRecipe:
    """How the encoder meant the picture to be drawn; a decoder may be told otherwise.

    Attributes:
        profile: name of the pipeline, a key of `PROFILES`.
        weights_hash: first two bytes of the SHA-256 over the pipeline's weights, 0 … 65535; 0 is unknown.
        scheduler: name of the sampler, one of `SCHEDULERS`.
        num_inference_steps: steps of the whole schedule, 1 … 1000; `strength` of them are run.
        strength: how far up the noise schedule the likeness is lifted, 0 … 1 in hundredths; 0 draws nothing and gives
            the likeness itself.
        guidance_scale: classifier-free guidance on the labels, 0 … 25.5 in tenths; 1 is none.
        seed: of the noise, 0 … 65535.

    Raises:
        ValueError: a value outside its range or off its grid.
    """

    profile: str = "landscape-256"
    weights_hash: int = 0
    scheduler: str = PRESETS["fine"].scheduler
    num_inference_steps: int = PRESETS["fine"].num_inference_steps
    strength: float = PRESETS["fine"].strength
    guidance_scale: float = PRESETS["fine"].guidance_scale
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.profile, str) or self.profile not in PROFILES:
            raise ValueError(f"`profile` must be one of {', '.join(PROFILES)}, got {self.profile!r}")
        if not isinstance(self.scheduler, str) or self.scheduler not in SCHEDULERS:
            raise ValueError(f"`scheduler` must be one of {', '.join(SCHEDULERS)}, got {self.scheduler!r}")
        for name, lowest, highest in (("weights_hash", 0, 65535), ("num_inference_steps", 1, 1000), ("seed", 0, 65535)):
            object.__setattr__(self, name, plain_integer(name, getattr(self, name), lowest, highest))
        strength = decimal_parts("strength", self.strength, STRENGTH_PARTS, 0, 100)
        guidance = decimal_parts("guidance_scale", self.guidance_scale, GUIDANCE_PARTS, 0, 255)
        object.__setattr__(self, "strength", strength / STRENGTH_PARTS)
        object.__setattr__(self, "guidance_scale", guidance / GUIDANCE_PARTS)

    @classmethod
    def from_preset(cls, name: str, *, profile: str, weights_hash: int = 0, seed: int = 0) -> DecoderRecipe:
        """Return the recipe of a preset.

        Args:
            name: a key of `PRESETS`.
            profile: a key of `PROFILES`; its own preset need not be this one.
            weights_hash: of the pipeline, 0 … 65535; 0 is unknown.
            seed: of the noise, 0 … 65535.

        Raises:
            ValueError: an unknown name, or a value out of range.
        """
        return cls(profile=profile, weights_hash=weights_hash, seed=seed, **preset_values(name))


def preset_values(name: str) -> dict[str, Any]:
    """Return the recipe values of a named preset, by field.

    Args:
        name: a key of `PRESETS`.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}, got {name!r}")
    return asdict(PRESETS[name])
