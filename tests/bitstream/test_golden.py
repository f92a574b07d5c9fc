"""Files of this format version decode for ever, and payloads give the same bytes for ever."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream.header import FORMAT_VERSION
from sgc_diffusion.payload import PROFILES, SCHEDULERS, UnknownLayer, color_transform
from sgc_diffusion.taxonomy import NUMBERS

FOLDER = Path(__file__).parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("golden_generate", FOLDER / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)
PAYLOADS = generate.payloads()

# Format version → tables; a changed table needs a new version.
TABLES_SHA256 = {1: "3ca752ccd401ef5845f8157cf984bacc7e259ad3910a814aa084983e114f8920"}
COLOR_MAPS_SHA256 = {1: "eff3e043b8502bef772a8792948884bfb68782f19495ca5f767256061e9d5416"}


def test_tables_belong_to_the_format_version():
    digest = generate.tables_digest()
    assert digest == TABLES_SHA256[FORMAT_VERSION]
    assert digest[:16] in bitstream.__doc__


def test_color_maps_belong_to_the_format_version():
    assert generate.color_maps_digest() == COLOR_MAPS_SHA256[FORMAT_VERSION]


@pytest.mark.parametrize("name", PAYLOADS)
def test_golden_file_decodes_to_its_payload(name):
    assert bitstream.decode((FOLDER / f"{name}.sgc").read_bytes()) == PAYLOADS[name]


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload_encodes_to_its_golden_file(name):
    assert bitstream.encode(PAYLOADS[name]) == (FOLDER / f"{name}.sgc").read_bytes()


def test_sealed_golden_file_decodes():
    data = (FOLDER / "sealed.sgc").read_bytes()
    assert bitstream.decode(data, key=generate.KEY) == PAYLOADS["tiny"]


def test_a_golden_file_with_unknown_layers_decodes():
    data = (FOLDER / "unknown-layers.sgc").read_bytes()
    assert data == generate.with_unknown_layers(PAYLOADS["tiny"])
    layers = (UnknownLayer(100, bytes(range(200))), UnknownLayer(127, b""))
    payload = bitstream.decode(data, strict=True)
    assert payload == dataclasses.replace(PAYLOADS["tiny"], layers=layers)
    assert bitstream.encode(payload) == data


def test_a_golden_file_ends_in_more_zeros_than_are_dropped():
    parts = bitstream.inspect((FOLDER / "stripes-128.sgc").read_bytes())
    data = (FOLDER / "stripes-128.sgc").read_bytes()
    assert bytes(100) in data[parts.header_bytes : parts.header_bytes + parts.layer_bytes["labels"]]


def test_the_format_text_gives_every_number():
    text = " ".join(bitstream.__doc__.split())
    profiles = {name: profile.number for name, profile in PROFILES.items()}
    for names in (profiles, SCHEDULERS, NUMBERS):
        assert ", ".join(f"{name} {number}" for name, number in names.items()) in text


def test_every_golden_file_is_tested():
    assert {path.stem for path in FOLDER.glob("*.sgc")} == {*PAYLOADS, "sealed", "unknown-layers"}


def test_the_example_of_the_format_text_is_the_tiny_file():
    assert generate.hexdump((FOLDER / "tiny.sgc").read_bytes()) in bitstream.__doc__


def test_steps_grow_by_an_eighth_of_an_octave():
    expected = np.round(16 * 2 ** (np.arange(64) / 8)).astype(int).tolist()
    assert list(color_transform.STEPS) == expected
