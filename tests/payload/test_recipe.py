"""Profiles, presets and recipes; what the format takes from them never changes."""

import dataclasses

import pytest

from sgc_diffusion.payload import PRESETS, PROFILES, DecoderRecipe, Preset
from sgc_diffusion.payload.recipe import preset_values


def test_what_files_leave_out_is_what_it_was():
    """The presets that profiles name are part of the format."""
    ours, paper = Preset("dpm-solver++", 20, 1.0, 3.0), Preset("ddim", 200, 0.7, 2.0)
    assert {name: profile.defaults for name, profile in PROFILES.items()} == {
        "custom": ours,
        "landscape-256": ours,
        "semantic-synthesis-512": paper,
        "semantic-synthesis-256": paper,
        "controlnet-seg": ours,
        "general-256": ours,
        "labels-gan": ours,
    }


def test_profiles_are_consistent():
    assert all(profile.name == name and profile.preset in PRESETS for name, profile in PROFILES.items())
    assert len({profile.number for profile in PROFILES.values()}) == len(PROFILES)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_recipe(name):
    recipe = DecoderRecipe.from_preset(name, profile="controlnet-seg", weights_hash=77, seed=5)
    assert (recipe.profile, recipe.weights_hash, recipe.seed) == ("controlnet-seg", 77, 5)
    assert {field: getattr(recipe, field) for field in preset_values(name)} == dataclasses.asdict(PRESETS[name])


def test_the_default_recipe_is_what_files_leave_out():
    assert DecoderRecipe() == DecoderRecipe.from_preset("fine", profile="landscape-256")


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"`preset` must be one of fast, standard, .*, got 'foo'"):
        preset_values("foo")
    with pytest.raises(ValueError, match="`preset` must be one of"):
        DecoderRecipe.from_preset("foo", profile="custom")
    with pytest.raises(ValueError, match="`profile` must be one of"):
        DecoderRecipe.from_preset("fast", profile="foo")


def test_presets_cannot_be_changed_through_their_values():
    preset_values("fast")["num_inference_steps"] = 9
    assert PRESETS["fast"].num_inference_steps == 1
