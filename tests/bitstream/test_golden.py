"""Files of this format version decode for ever, and payloads give the same bytes for ever."""

import dataclasses
import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import layers
from sgc_diffusion.bitstream.header import FORMAT_VERSION
from sgc_diffusion.payload import RegionsLayer, UnknownLayer, color_transform
from sgc_diffusion.payload.detail import DETAIL_KINDS, likeness

FOLDER = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("golden_generate", FOLDER / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)
PAYLOADS = generate.every_payload()

# Format version → tables; a changed table needs a new version.
TABLES_SHA256 = {1: "3ca752ccd401ef5845f8157cf984bacc7e259ad3910a814aa084983e114f8920"}
LAYER_TABLES_SHA256 = {
    1: {
        "labels": "56c110e96d7cffff4f3a242572dba8470455a88a17b8dade2bd16f63ec42cc95",
        "color": "80b66f53f650e8966f37a7441af4f9fadd0f8e2d0ad98587727bcc1363b8c5b3",
    }
}
MASK_TABLES_SHA256 = {1: "b1414f3cae77b030698056366ccbc6de7ed8727520119fadf6ab9b63eaa1e35a"}
DETAIL_TABLES_SHA256 = {1: "9becc4f310b532fd90031b64ef25206ee0320aea21548797ca2aa553f50184b3"}
LIKENESSES_SHA256 = {1: "eb31d1cb49a48a33d39500667c49b03b142f9ffaf30578b50b8b8709ca1cd1ab"}
STEERED_LIKENESSES_SHA256 = {1: "17b024720be41872aeda2188ab7b0a1c43a2c256c0acadfd7a7e2780a1c28348"}
COLOR_MAPS_SHA256 = {1: "eff3e043b8502bef772a8792948884bfb68782f19495ca5f767256061e9d5416"}


def test_tables_belong_to_the_format_version():
    assert generate.tables_digest() == TABLES_SHA256[FORMAT_VERSION]
    assert {coder.name: coder.table_digest() for coder in layers.REQUIRED} == LAYER_TABLES_SHA256[FORMAT_VERSION]
    assert {layers.optional_coder(kind).table_digest() for kind in DETAIL_KINDS} == {
        DETAIL_TABLES_SHA256[FORMAT_VERSION]
    }
    assert {layers.optional_coder(kind).table_digest() for kind in (1, 2)} == {MASK_TABLES_SHA256[FORMAT_VERSION]}


def test_color_maps_belong_to_the_format_version():
    assert generate.color_maps_digest() == COLOR_MAPS_SHA256[FORMAT_VERSION]


@pytest.mark.parametrize("name", PAYLOADS)
def test_golden_file_decodes_to_its_payload(name):
    assert bitstream.decode((FOLDER / f"{name}.sgc").read_bytes()) == PAYLOADS[name]


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload_encodes_to_its_golden_file(name):
    assert bitstream.encode(PAYLOADS[name]) == (FOLDER / f"{name}.sgc").read_bytes()


def test_golden_detail_is_the_picture():
    for name, picture in (("detail-all", (21, 40, 48, 12)), ("detail-exact", (22, 21, 37, 256))):
        payload = bitstream.decode((FOLDER / f"{name}.sgc").read_bytes(), strict=True)
        assert np.array_equal(likeness(payload.layers[-1].state), generate.picture(*picture))


def test_golden_regions_are_exact_after_three_levels():
    payload = bitstream.decode((FOLDER / "steered-regions.sgc").read_bytes(), strict=True)
    inside, pixels = payload.layer(RegionsLayer).pixels(40, 48), generate.picture(41, 40, 48, 9)
    known = [likeness(level.state) for level in payload.layers[1:]]
    assert np.array_equal(known[2][inside], pixels[inside]) and np.array_equal(known[4], pixels)


def test_steered_likenesses_belong_to_the_format_version():
    levels = [layer for payload in generate.steered_payloads().values() for layer in payload.layers[1:]]
    data = b"".join(likeness(layer.state).tobytes() for layer in levels if layer.kind in DETAIL_KINDS)
    assert hashlib.sha256(data).hexdigest() == STEERED_LIKENESSES_SHA256[FORMAT_VERSION]


def test_likenesses_belong_to_the_format_version():
    data = b"".join(
        likeness(layer.state).tobytes() for payload in generate.detail_payloads().values() for layer in payload.layers
    )
    assert hashlib.sha256(data).hexdigest() == LIKENESSES_SHA256[FORMAT_VERSION]


def test_sealed_golden_file_decodes():
    data = (FOLDER / "sealed.sgc").read_bytes()
    assert bitstream.decode(data, key=generate.KEY) == PAYLOADS["tiny"]


def test_a_golden_file_with_unknown_layers_decodes():
    data = (FOLDER / "unknown-layers.sgc").read_bytes()
    assert data == generate.with_unknown_layers(PAYLOADS["tiny"])
    unknown = (UnknownLayer(100, bytes(range(200))), UnknownLayer(127, b""))
    payload = bitstream.decode(data, strict=True)
    assert payload == dataclasses.replace(PAYLOADS["tiny"], layers=unknown)
    assert bitstream.encode(payload) == data


def test_a_golden_file_ends_in_more_zeros_than_are_dropped():
    parts = bitstream.inspect((FOLDER / "stripes-128.sgc").read_bytes())
    data = (FOLDER / "stripes-128.sgc").read_bytes()
    assert bytes(100) in data[parts.header_bytes : parts.header_bytes + parts.layer_bytes["labels"]]


def test_every_golden_file_is_tested():
    assert {path.stem for path in FOLDER.glob("*.sgc")} == {*PAYLOADS, "sealed", "unknown-layers"}


def test_steps_grow_by_an_eighth_of_an_octave():
    expected = np.round(16 * 2 ** (np.arange(64) / 8)).astype(int).tolist()
    assert list(color_transform.STEPS) == expected
