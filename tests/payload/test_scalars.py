"""Numbers of every NumPy type go in, plain numbers are stored, and nothing wraps."""

import dataclasses

import numpy as np
import pytest

from sgc_diffusion import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload, bitstream
from sgc_diffusion.payload import UnknownLayer

INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.intp, np.longlong]
FLOATS = [np.float16, np.float32, np.float64, np.longdouble, float]
LABELS = LabelLayer(np.array([[1, 2]], np.uint8), "landscape-24")
COLOR = ColorLayer.from_color_map(np.full((2, 2, 3), 90, np.uint8), 16)


def build(**values):
    recipe = {name: values.pop(name) for name in list(values) if name in DecoderRecipe.__dataclass_fields__}
    color = dataclasses.replace(COLOR, quality=values.pop("quality", 16))
    layers = (UnknownLayer(values.pop("kind", 90), b"x"),)
    return SemanticPayload(
        values.pop("width", 640), values.pop("height", 480), LABELS, color, DecoderRecipe(**recipe), layers
    )


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("width", 40000), ("height", 2**20), ("weights_hash", 65535), ("num_inference_steps", 1000), ("seed", 40000),
     ("quality", 63), ("kind", 127)],
)  # fmt: skip
def test_every_integer_type_survives_in_every_field(kind, name, value):
    value = min(value, int(np.iinfo(kind).max))
    payload = build(**{name: kind(value)})
    holders = {"quality": payload.color, "kind": payload.layers[0], "width": payload, "height": payload}
    stored = getattr(holders.get(name, payload.recipe), name)
    assert type(stored) is int and stored == value
    assert bitstream.decode(bitstream.encode(payload)) == payload == build(**{name: value})


@pytest.mark.parametrize("kind", [*FLOATS, *INTEGERS, int])
@pytest.mark.parametrize("name", ["strength", "guidance_scale"])
def test_every_float_type_is_stored_on_the_grid(kind, name):
    parts, highest = {"strength": (100, 100), "guidance_scale": (10, 255)}[name]
    for part in range(1, highest + 1):
        value = kind(part / parts)
        if np.issubdtype(kind, np.integer) and int(value) * parts != part:
            continue
        stored = getattr(DecoderRecipe(**{name: value}), name)
        assert type(stored) is float and stored == part / parts
    payload = build(**{name: kind(1)})
    assert bitstream.decode(bitstream.encode(payload)) == payload


@pytest.mark.parametrize("value", [0.705, np.float32(0.705), np.float64(0.7001), 0.70001])
def test_what_is_between_two_values_is_refused(value):
    with pytest.raises(ValueError, match=r"`strength` must be a multiple of 0.01, got .*; round it"):
        DecoderRecipe(strength=value)


@pytest.mark.parametrize(
    "value", [np.nan, np.inf, -np.inf, np.float32("nan"), "1", None, True, 1.01, -0.01, -1, 1 + 0j, 10**400]
)
def test_what_is_no_strength_is_refused(value):
    with pytest.raises(ValueError, match=r"`strength` must be from 0\.0 to 1\.0, got"):
        DecoderRecipe(strength=value)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(1), "1", None, -1, np.int8(-1), 65536, 2**70])
@pytest.mark.parametrize("name", ["seed", "weights_hash"])
def test_what_is_no_integer_of_the_range_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer from 0 to 65535, got"):
        DecoderRecipe(**{name: value})


@pytest.mark.parametrize("kind", INTEGERS)
def test_ids_of_every_integer_type_are_taken(kind):
    layer = LabelLayer(np.array([[0, 23], [5, 7]], kind), "landscape-24")
    assert layer.label_map.dtype == np.uint8 and layer.label_map.tolist() == [[0, 23], [5, 7]]


@pytest.mark.parametrize("label", [300, 256, 24, -1, -256, 2**16, 2**32 + 1])
def test_ids_that_do_not_fit_are_refused_and_never_wrap(label):
    label_map = np.array([[1, label]], np.int64)
    with pytest.raises(ValueError, match=f"`label_map` holds id {label}, but landscape-24 has only the 24 classes"):
        LabelLayer(label_map, "landscape-24")


@pytest.mark.parametrize("dtype", [bool, np.float32, object, np.complex64])
def test_label_maps_that_are_no_integers_are_refused(dtype):
    with pytest.raises(ValueError, match="`label_map` must hold integers"):
        LabelLayer(np.zeros((2, 2), dtype), "landscape-24")
