"""What all layers share: equality by fields, order by kind, read-only arrays."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from sgc_diffusion import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload
from sgc_diffusion.payload import Layer, UnknownLayer
from sgc_diffusion.payload.layer import frozen_array


@dataclass(frozen=True, eq=False)
class Weights(Layer):
    kind: ClassVar[int] = 7
    weights: np.ndarray
    name: str = "a"

    def __post_init__(self):
        object.__setattr__(self, "weights", frozen_array(self.weights))


LABELS = LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24")
COLOR = ColorLayer.from_color_map(np.full((2, 2, 3), 90, np.uint8), 16)
PAYLOAD = SemanticPayload(8, 4, LABELS, COLOR)


def test_layers_are_equal_by_class_and_fields():
    layer = Weights(np.arange(3))
    assert layer == Weights(np.arange(3)) and not layer != Weights(np.arange(3))
    for other in (Weights(np.arange(4)), Weights(np.array([0, 1, 3])), Weights(np.arange(3), "b"), 3, None, LABELS):
        assert layer != other and not layer == other
    assert UnknownLayer(7, b"a") == UnknownLayer(7, b"a")
    assert UnknownLayer(7, b"a") != UnknownLayer(8, b"a") and UnknownLayer(7, b"a") != UnknownLayer(7, b"b")


@pytest.mark.parametrize(
    "change",
    [
        {"width": 9},
        {"height": 5},
        {"labels": LabelLayer(np.ones((2, 2), np.uint8), "landscape-24")},
        {"labels": LabelLayer(np.zeros((2, 1), np.uint8), "landscape-24")},
        {"labels": LabelLayer(np.zeros((2, 2), np.uint8), "landscape-8")},
        {"color": replace(COLOR, quality=17)},
        {"color": replace(COLOR, levels=COLOR.levels + np.int16(1))},
        {"recipe": DecoderRecipe(seed=1)},
        {"recipe": DecoderRecipe(profile="custom")},
        {"layers": (UnknownLayer(7, b"a"),)},
    ],
)
def test_a_payload_that_differs_in_anything_is_another(change):
    assert replace(PAYLOAD) == PAYLOAD
    other = replace(PAYLOAD, **change)
    assert other != PAYLOAD and not other == PAYLOAD


def test_what_holds_arrays_cannot_be_hashed():
    for thing in (PAYLOAD, LABELS, COLOR, UnknownLayer(7, b"")):
        with pytest.raises(TypeError, match="unhashable"):
            hash(thing)


def test_a_payload_is_no_other_thing():
    assert PAYLOAD != 3 and PAYLOAD != LABELS and LABELS != COLOR


def test_optional_layers_are_found_by_class():
    layer = Weights(np.arange(3))
    payload = replace(PAYLOAD, layers=[UnknownLayer(2, b"x"), layer])
    assert payload.layers == (UnknownLayer(2, b"x"), layer)
    assert payload.layer(Weights) is layer and payload.layer(UnknownLayer) == UnknownLayer(2, b"x")
    assert PAYLOAD.layer(Weights) is None


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((UnknownLayer(5, b""), UnknownLayer(5, b"")), "kind 5 after 5"),
        ((UnknownLayer(8, b""), Weights(np.arange(3))), "kind 7 after 8"),
        ((LABELS,), "`kind` must be an integer from 1 to 127, got 0"),
        ((b"layer",), "`layers` must hold layers, got bytes"),
    ],
)
def test_layers_that_cannot_be_stored_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        replace(PAYLOAD, layers=layers)


@pytest.mark.parametrize("kind", [0, 128, -1, True, 1.5])
def test_unknown_layers_of_kinds_that_cannot_be(kind):
    with pytest.raises(ValueError, match="`kind` must be an integer from 1 to 127"):
        UnknownLayer(kind, b"")


def test_the_body_of_an_unknown_layer_is_bytes():
    with pytest.raises(ValueError, match="`body` must be bytes, got str"):
        UnknownLayer(1, "text")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "`labels` must be a LabelLayer, got NoneType"),
        ({"color": LABELS}, "`color` must be a ColorLayer, got LabelLayer"),
        ({"recipe": {}}, "`recipe` must be a DecoderRecipe, got dict"),
    ],
)
def test_parts_of_another_class_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PAYLOAD, **change)


def test_levels_that_cannot_be_coded_are_refused_at_once():
    with pytest.raises(ValueError, match="`levels` must be from -32767 to 32767, got -32768"):
        ColorLayer(np.full((1, 1, 3), -32768, np.int16), 3)
