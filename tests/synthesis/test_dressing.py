"""Pictures get back what their file keeps beside the colors, and formats get what they can hold."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from sgc_diffusion.payload import AlphaLayer, ColorLayer, ExifLayer, IccProfileLayer, LabelLayer, SemanticPayload
from sgc_diffusion.synthesis.dressing import dress, fitted_to
from sgc_diffusion.synthesis.likeness_image import likeness_image, save_likeness
from sgc_diffusion.synthesis.provenance import DIGITAL_SOURCE_TYPE, mark_generated, save_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF = Image.Exif()
EXIF[ExifTags.Base.Make] = "a camera"
EXIF = EXIF.tobytes().removeprefix(b"Exif\0\0")
LEVELS = (np.add.outer(np.arange(20), np.arange(30)) % 2).astype(np.uint8)
PLAIN = SemanticPayload(
    30, 20, LabelLayer(np.zeros((1, 1), np.uint8), "landscape-24"), ColorLayer(np.zeros((1, 1, 3), np.int16), 0)
)
PAYLOAD = PLAIN.with_layers(AlphaLayer(LEVELS, 2), IccProfileLayer(PROFILE), ExifLayer(EXIF))


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def test_alpha_and_metadata_come_back():
    dressed = dress(picture(), PAYLOAD)
    assert np.array_equal(np.asarray(dressed)[..., :3], np.asarray(picture()))
    assert np.array_equal(np.asarray(dressed)[..., 3], LEVELS * 255)
    assert dress(picture(), PLAIN).mode == "RGB" and "exif" not in dress(picture(), PLAIN).info


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".tif", ".avif"])
@pytest.mark.parametrize("is_drawn", [True, False])
def test_files_hold_them_where_their_format_can(tmp_path, suffix, is_drawn):
    path = tmp_path / f"a{suffix}"
    if is_drawn:
        save_image(mark_generated(dress(picture(), PAYLOAD), 100, "landscape-256"), path)
    else:
        save_likeness(likeness_image(PAYLOAD, 100), path)
    with Image.open(path) as image:
        image.load()
        assert image.mode == ("RGB" if suffix == ".jpg" else "RGBA")
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[ExifTags.Base.Make] == "a camera"
        if suffix != ".avif" and image.mode == "RGBA" and not (is_drawn and suffix == ".webp"):
            assert np.array_equal(np.asarray(image)[..., 3], LEVELS * 255)
    assert (DIGITAL_SOURCE_TYPE.encode() in path.read_bytes()) == is_drawn


def test_a_format_without_alpha_gets_the_picture_over_white():
    marked = mark_generated(dress(picture(), PAYLOAD), 100, "landscape-256")
    over = fitted_to(marked, "JPEG")
    expected = np.where(LEVELS[..., None] == 1, np.asarray(picture()), 255)
    assert type(over) is type(marked) and np.array_equal(np.asarray(over), expected)
    assert fitted_to(marked, "PNG") is marked


def test_what_a_format_cannot_hold_is_told_of(caplog):
    marked = mark_generated(dress(picture(), PAYLOAD), 100, "landscape-256")
    marked.convert("RGB").save(io.BytesIO(), "GIF")
    assert "GIF cannot hold the ICC profile" in caplog.text and "GIF cannot hold the EXIF data" in caplog.text
