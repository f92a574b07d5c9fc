"""The likeness: exact at the last level, an integer picture before it, honest about what it is."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload, UnknownLayer
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.synthesis.likeness import is_exact, likeness
from sgc_diffusion.synthesis.likeness_image import likeness_image, save_likeness

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
COLOR = ColorLayer.from_color_map(PICTURE[::8, ::8].copy(), 32)
PLAIN = SemanticPayload(41, 30, LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24"), COLOR)
STATE = exact_state(PICTURE, PLAIN.color_map)


def with_levels(*levels, extra=()):
    return replace(PLAIN, layers=(*(DetailLevel(FIRST_KIND + level, STATE) for level in levels), *extra))


def error(payload):
    return float(((likeness(payload).astype(float) - PICTURE) ** 2).mean())


def test_without_detail_it_is_the_smooth_base():
    assert np.array_equal(likeness(PLAIN), smooth_base(PLAIN.color_map, 30, 41)) and not is_exact(PLAIN)


def test_more_levels_are_nearer_and_the_last_is_exact():
    payloads = [PLAIN, *(with_levels(*range(0, level + 1, 5)) for level in (5, 10, 15))]
    errors = [error(payload) for payload in payloads]
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0 and is_exact(payloads[-1])
    assert error(with_levels(5, extra=(UnknownLayer(100, b"x"),))) == errors[1]


def test_a_decoded_file_gives_the_same_likeness():
    payload = with_levels(3, 9)
    assert np.array_equal(likeness(bitstream.decode(bitstream.encode(payload))), likeness(payload))


def test_a_huge_picture_is_refused_before_it_takes_memory():
    huge = replace(PLAIN, width=60_000, height=60_000)
    with pytest.raises(ValueError, match=r"60000×60000 = 3600000000 pixels, more than the 89478485"):
        likeness(huge)
    with pytest.raises(ValueError, match="`max_pixels`"):
        likeness(PLAIN, max_pixels=30 * 41 - 1)
    assert likeness(PLAIN, max_pixels=30 * 41).shape == likeness(PLAIN, max_pixels=None).shape


def test_detail_of_another_picture_is_refused():
    with pytest.raises(ValueError, match="has detail of another 41×30 picture"):
        likeness(replace(with_levels(4), width=42))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg", ".jp2", ".bmp"])
def test_a_saved_likeness_says_what_it_is_and_is_not_marked_as_generated(tmp_path, suffix):
    save_likeness(likeness_image(with_levels(15), 1234), tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert b"trainedAlgorithmicMedia" not in data and b"Synthesized" not in data
    assert suffix == ".bmp" or b"Decoded by sgc_diffusion from 1234 bytes. Exact in every pixel." in data
    with Image.open(tmp_path / f"a{suffix}") as saved:
        assert suffix == ".jpg" or np.array_equal(np.asarray(saved.convert("RGB")), PICTURE)


def test_an_approximation_says_so():
    assert (
        likeness_image(with_levels(3)).info["Description"].endswith("An approximation; no network has added anything.")
    )


def test_a_suffix_of_no_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in"):
        save_likeness(likeness_image(PLAIN), tmp_path / "a.xyz")


def test_numpy_alone_is_enough():
    code = (
        "import sys\nfor name in ('torch', 'PIL', 'diffusers', 'scipy'): sys.modules[name] = None\n"
        "from sgc_diffusion import bitstream\nfrom sgc_diffusion.synthesis.likeness import likeness\n"
        "print(likeness(bitstream.decode(sys.stdin.buffer.read())).sum())"
    )
    data = bitstream.encode(with_levels(7))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert int(done.stdout) == likeness(with_levels(7)).sum()
