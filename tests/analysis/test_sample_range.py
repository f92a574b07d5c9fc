"""Samples that are no bytes, by the range they are declared to have."""

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.analysis.image_input import open_image, to_rgb

BYTES = np.array([[0, 64, 128, 192, 255]], np.uint8)


def grays(image):
    return np.asarray(to_rgb(image))[0, :, 0].tolist()


def floats(*values):
    return Image.fromarray(np.array([values], np.float32))


@pytest.mark.parametrize("mode", ["F", "I"])
@pytest.mark.parametrize("values", [BYTES, BYTES // 2, np.array([[2, 3, 9]], np.uint8)])
def test_a_conversion_from_bytes_gives_the_bytes_back(mode, values):
    assert grays(Image.fromarray(values).convert(mode)) == values[0].tolist()


def test_dark_integers_are_not_brightened():
    assert grays(Image.fromarray(np.array([[0, 1]], np.uint8)).convert("I")) == [0, 1]


def test_floats_a_little_beyond_one_are_clipped():
    for image in (floats(-0.02, 0.0, 0.5, 1.0, 1.02), np.array([[-0.02, 0.0, 0.5, 1.0, 1.02]])):
        found = grays(image)
        assert found[2] in (127, 128) and [*found[:2], *found[3:]] == [0, 0, 255, 255]


def test_what_resampling_leaves_beyond_bytes_is_clipped():
    assert grays(floats(-12.5, 100.4, 270.0)) == [0, 100, 255]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_changes_only_itself(odd):
    for values in ((0.1, odd, 0.5, 1.0), (20.0, odd, 128.0, 255.0)):
        plain = grays(floats(*[0 if index == 1 else value for index, value in enumerate(values)]))
        found = grays(floats(*values))
        assert found[1] == (255 if odd == np.inf else 0)
        assert [found[0], *found[2:]] == [plain[0], *plain[2:]]
    array = np.array([[0.0, odd, 0.5, 1.0]])
    assert grays(array)[2:] == [128, 255]


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(np.array([[0, 1000, 70000]], np.int32)),
        Image.fromarray(np.array([[0, 2**31 - 1]], np.int32)),
        Image.fromarray(np.array([[-5, 100]], np.int32)),
        floats(0.0, 1.0, 1.0),
        floats(0.0, 1.5),
        floats(-100.0, 200.0),
        floats(0.0, 1e9),
        floats(np.nan, np.nan),
    ],
)
def test_what_cannot_be_told_is_refused(image):
    with pytest.raises(ValueError, match="whose range cannot be told; pass an array of uint8"):
        to_rgb(image)


def test_a_file_whose_range_cannot_be_told_is_named(tmp_path):
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match=r"deep\.tif: `image` of mode I holds values from 0 to 70000"):
        open_image(tmp_path / "deep.tif")


def test_sixteen_bits_round_the_same_way_as_array_and_as_picture(tmp_path):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(ramp / 257).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(ramp).save(tmp_path / "deep.tif")
    (tmp_path / "deep.pgm").write_bytes(b"P5 256 256 65535\n" + ramp.astype(">u2").tobytes())
    pictures = [ramp, ramp.astype(">u2"), Image.fromarray(ramp), Image.fromarray(ramp.astype(np.int32))]
    for picture in [*map(to_rgb, pictures), *(open_image(tmp_path / f"deep.{kind}") for kind in ("png", "tif", "pgm"))]:
        assert np.array_equal(np.asarray(picture)[..., 1], expected)


def test_a_dark_file_of_sixteen_bits_stays_dark(tmp_path):
    (tmp_path / "dark.pgm").write_bytes(b"P5 2 1 65535\n" + np.array([0, 250], ">u2").tobytes())
    assert np.asarray(open_image(tmp_path / "dark.pgm"))[0, :, 0].tolist() == [0, 1]


def test_the_transparent_value_of_sixteen_bits_lies_over_white(tmp_path):
    Image.fromarray(np.array([[1000, 2000]], np.uint16)).save(tmp_path / "key.png", transparency=1000)
    assert np.asarray(open_image(tmp_path / "key.png"))[0, :, 0].tolist() == [255, 8]


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.full((4, 4, 3), 200.0), "divide by 255"),
        (np.full((4, 4, 3), np.nan), r"\[0, 1\]"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4, 4), bool), "bool"),
    ],
)
def test_arrays_that_could_be_misread_are_refused(array, part):
    with pytest.raises(ValueError, match=part):
        to_rgb(array)
