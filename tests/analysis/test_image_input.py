import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from sgc_diffusion.analysis.image_input import open_image, to_rgb


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (20, 10), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "rotated.jpg", exif=exif)
    assert open_image(tmp_path / "rotated.jpg").size == (10, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    image = to_rgb(Image.new(mode, (5, 4)))
    assert (image.mode, image.size) == ("RGB", (5, 4))


def test_transparent_parts_lie_over_white():
    half = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    half.putpixel((0, 0), (10, 20, 30, 255))
    assert np.asarray(to_rgb(half)).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    palette = Image.new("P", (1, 1), 3)
    palette.info["transparency"] = 3
    assert to_rgb(palette).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_keep_their_brightness(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(2, 0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    found = np.asarray(open_image(tmp_path / "deep.png"))[0, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1
    assert np.abs(np.asarray(to_rgb(ramp))[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_icc_profile_is_converted_to_srgb(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = Image.new("RGB", (2, 2), (200, 100, 50))
    image.info["icc_profile"] = profile  # a profile of another color space cannot be used and is left aside
    assert to_rgb(image).getpixel((0, 0)) == (200, 100, 50)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "srgb.png", icc_profile=srgb)
    found = np.asarray(open_image(tmp_path / "srgb.png")).astype(int)
    assert np.abs(found - [200, 100, 50]).max() <= 1


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (6, 6), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "two.gif").getpixel((0, 0)) == (255, 0, 0)


def png_that_declares(width, height):
    data = io.BytesIO()
    Image.new("L", (1, 1)).save(data, "PNG")
    content = bytearray(data.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not a picture"),
        (b"hello", "not a picture"),
        (png_that_declares(30000, 30000), "too many pixels"),
        (png_that_declares(300, 300), "damaged or cut short"),
    ],
)
def test_bad_files_are_named(tmp_path, content, part):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=part):
        open_image(path)


def test_truncated_jpeg_is_refused_rather_than_filled_with_gray(tmp_path, landscape):
    data = io.BytesIO()
    landscape(64, 64).save(data, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    with pytest.raises(ValueError, match="cut short"):
        open_image(tmp_path / "cut.jpg")


def test_a_directory_is_no_picture(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_image(tmp_path)


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((4, 4, 2), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.full((4, 4, 3), 200.0), "divide by 255"),
        (np.full((4, 4, 3), np.nan), r"\[0, 1\]"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
    ],
)
def test_arrays_that_could_be_misread_are_refused(array, part):
    with pytest.raises(ValueError, match=part):
        to_rgb(array)
