import numpy as np
import pytest

from sgc_diffusion import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.payload import PROFILES, SCHEDULERS


def test_layers_are_frozen_copies():
    source = np.zeros((2, 2), np.uint8)
    layer = LabelLayer(source, "landscape-24")
    source[:] = 9
    assert layer.label_map.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        layer.label_map[0, 0] = 1


def test_a_view_of_a_changing_array_is_copied_too():
    source = np.zeros((2, 2), np.uint8)
    view = source.view()
    view.flags.writeable = False
    layer = LabelLayer(view, "landscape-24")
    source[:] = 9
    assert layer.label_map.max() == 0


@pytest.mark.parametrize(
    ("label_map", "part"),
    [
        (np.zeros((2, 2), np.float32), "float32"),
        (np.zeros((1, 2, 2), np.uint8), r"\(h, w\)"),
        (np.zeros((0, 2), np.uint8), "cells a side"),
        (np.zeros((1, 1025), np.uint8), "cells a side"),
        (np.full((2, 2), 24, np.uint8), "id 24"),
    ],
)
def test_label_maps_that_cannot_be(label_map, part):
    with pytest.raises(ValueError, match=part):
        LabelLayer(label_map, "landscape-24")


@pytest.mark.parametrize(
    "levels", [np.zeros((2, 2, 3), np.int32), np.zeros((2, 2), np.int16), np.zeros((0, 2, 3), np.int16)]
)
def test_color_levels_that_cannot_be(levels):
    with pytest.raises(ValueError, match=r"`levels`|`height`"):
        ColorLayer(levels, 16)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"profile": "mine"}, "`profile`"),
        ({"scheduler": "euler"}, "`scheduler`"),
        ({"num_inference_steps": 0}, "`num_inference_steps`"),
        ({"num_inference_steps": 2.5}, "`num_inference_steps`"),
        ({"seed": -1}, "`seed`"),
        ({"weights_hash": 65536}, "`weights_hash`"),
        ({"strength": 0.705}, "multiple of 0.01"),
        ({"strength": -0.01}, "`strength`"),
        ({"guidance_scale": 25.6}, "`guidance_scale`"),
    ],
)
def test_recipes_that_cannot_be(change, part):
    with pytest.raises(ValueError, match=part):
        DecoderRecipe(**change)


def test_numbers_of_the_format_are_what_they_were():
    assert {name: profile.number for name, profile in PROFILES.items()} == {
        "custom": 0,
        "landscape-256": 1,
        "semantic-synthesis-512": 2,
        "semantic-synthesis-256": 3,
        "controlnet-seg": 4,
        "general-256": 5,
        "labels-gan": 6,
    }
    assert SCHEDULERS == {"dpm-solver++": 0, "ddim": 1, "unipc": 2, "lcm": 3}


def test_payloads_compare_by_value_and_check_their_size():
    def build(width=4, label=0, seed=0):
        labels = LabelLayer(np.full((2, 2), label, np.uint8), "landscape-24")
        color = ColorLayer.from_color_map(np.full((2, 2, 3), 90, np.uint8), 16)
        return SemanticPayload(width, 4, labels, color, DecoderRecipe(seed=seed))

    assert build() == build()
    for change in ({"width": 5}, {"label": 1}, {"seed": 1}):  # every field: test_layer
        assert build() != build(**change)
    for width in (0, 2**20 + 1, 1.5):
        with pytest.raises(ValueError, match="`width`"):
            build(width=width)
