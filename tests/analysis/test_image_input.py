import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence

from sgc_diffusion.analysis.image_input import load_picture, open_image, readable_suffixes, to_rgb


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
    (tmp_path / "cut.jpg").write_bytes(data.getvalue()[:-100])
    with pytest.raises(ValueError, match="cut short"):
        open_image(tmp_path / "cut.jpg")


def test_a_directory_is_no_picture(tmp_path):
    with pytest.raises(IsADirectoryError):
        open_image(tmp_path)


def entry(tag, kind, count, value):
    return struct.pack("<HHI4s", tag, kind, count, value)


ORIENTATION = entry(0x0112, 3, 1, struct.pack("<HH", 6, 0))
TEXT = entry(0x011A, 2, 4, b"abc\0")  # the resolution is to be a fraction
FRACTION_PAST_THE_END = entry(0x011A, 5, 1, struct.pack("<I", 99999))
SUB_IFD_PAST_THE_END = entry(0x8769, 4, 1, struct.pack("<I", 99999))
SUB_IFD_OF_TEXT = entry(0x8769, 2, 4, b"abc\0")


ORIENTATION_OF_TEXT = entry(0x0112, 2, 4, b"abc\0")
ORIENTATION_99 = entry(0x0112, 3, 1, struct.pack("<HH", 99, 0))


def exif_of(*entries):
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


@pytest.mark.parametrize("odd", [TEXT, FRACTION_PAST_THE_END, SUB_IFD_PAST_THE_END, SUB_IFD_OF_TEXT])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_exif_beside_the_orientation_does_not_keep_a_picture_from_opening_upright(tmp_path, odd, kind):
    path = tmp_path / "odd"
    Image.new("RGB", (20, 10), "red").save(path, kind, exif=exif_of(ORIENTATION, odd))
    assert open_image(path).size == (10, 20)
    with Image.open(path) as picture, warnings.catch_warnings(action="ignore"):
        assert to_rgb(picture).size == (10, 20)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0nonsense" * 9]
)
def test_exif_that_cannot_be_read_is_left_aside(tmp_path, exif):
    Image.new("RGB", (20, 10), "red").save(tmp_path / "odd.jpg", exif=exif)
    assert open_image(tmp_path / "odd.jpg").size == (20, 10)


@pytest.mark.parametrize("odd", [ORIENTATION_OF_TEXT, ORIENTATION_99])
def test_an_orientation_that_is_none_is_left_aside(tmp_path, odd):
    exif = exif_of(odd)
    Image.new("RGB", (20, 10), "red").save(tmp_path / "odd.jpg", exif=exif)
    assert open_image(tmp_path / "odd.jpg").size == (20, 10)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_orientation_is_turned_upright_once(tmp_path, orientation, kind):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T,
        6: np.rot90(upright), 7: np.rot90(upright, 2).T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned", kind, exif=exif)
    assert np.array_equal(np.asarray(open_image(tmp_path / "turned"))[..., 0], upright)
    loaded = load_picture(tmp_path / "turned", max_pixels=1)
    assert (loaded.width, loaded.height) == (3, 2)


def damaged_tiff(tag):
    """Return a TIFF file whose entry of a tag is of type text."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "TIFF")
    data = bytearray(stream.getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    for index in range(struct.unpack_from("<H", data, start)[0]):
        place = start + 2 + 12 * index
        if struct.unpack_from("<H", data, place)[0] == tag:
            struct.pack_into("<HI4s", data, place + 2, 2, 4, b"abc\0")
    return bytes(data)


@pytest.mark.parametrize("tag", [256, 257, 258, 259, 262, 273, 277, 278, 279])
def test_a_tiff_with_text_for_a_number_is_one_error_with_the_name_of_the_file(tmp_path, tag):
    (tmp_path / "odd.tif").write_bytes(damaged_tiff(tag))
    try:
        assert open_image(tmp_path / "odd.tif").size == (8, 8)
    except ValueError as error:
        assert "odd.tif" in str(error)


def test_damaged_files_of_every_kind_open_or_are_one_error(tmp_path, landscape):
    rng, path = np.random.default_rng(0), tmp_path / "damaged"
    for kind in ("AVIF", "WEBP", "TIFF", "GIF", "JPEG2000", "PNG", "ICO", "TGA"):
        stream = io.BytesIO()
        landscape(32, 32).save(stream, kind)
        for _ in range(25):
            data = bytearray(stream.getvalue())
            for place in rng.integers(4, len(data), 3):
                data[place] = rng.integers(256)
            path.write_bytes(data)
            try:
                assert open_image(path).mode == "RGB"
            except ValueError as error:
                assert str(path) in str(error)


def test_a_picture_cut_short_that_was_not_decoded_yet_is_refused(landscape):
    data = io.BytesIO()
    landscape(64, 64).save(data, "JPEG")
    with pytest.raises(ValueError, match="`image` is damaged or cut short"):
        to_rgb(Image.open(io.BytesIO(data.getvalue()[:-100])))


COLORS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_frame_at_hand_is_taken_and_the_picture_is_left_where_it_was(tmp_path, kind):
    frames = [Image.new("RGB", (6, 6), color) for color in COLORS]
    frames[0].save(tmp_path / "three", kind, save_all=True, append_images=frames[1:], lossless=True)
    with Image.open(tmp_path / "three") as animation:
        drawn = [to_rgb(frame) for frame in ImageSequence.Iterator(animation)]
        assert [picture.getpixel((0, 0)) for picture in drawn] == list(COLORS.values())
        animation.seek(1)
        assert to_rgb(animation).getpixel((0, 0)) == COLORS["lime"] and animation.tell() == 1
    assert open_image(tmp_path / "three").getpixel((0, 0)) == COLORS["red"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_the_callers_picture_is_not_changed_nor_shared(mode):
    image = Image.new(mode, (5, 4))
    before = (image.mode, image.size, image.tobytes(), dict(image.info))
    to_rgb(image).paste("red", (0, 0, 5, 4))
    assert (image.mode, image.size, image.tobytes(), dict(image.info)) == before


def linear_gray_profile():
    """Return an ICC profile of gray values that are proportional to the light."""

    def tag_text(text):
        return b"text\0\0\0\0" + text + b"\0"

    def pad(data):
        return data + bytes(-len(data) % 4)

    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    bodies = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"gray\0" + bytes(78), b"wtpt": white}
    bodies |= {b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0), b"cprt": tag_text(b"none")}
    table, data, place = struct.pack(">I", len(bodies)), b"", 128 + 4 + 12 * len(bodies)
    for name, body in bodies.items():
        table += struct.pack(">4sII", name, place + len(data), len(body))
        data += pad(body)
    header = struct.pack(">I4sI4s4s4s", place + len(data), b"none", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + data


def test_a_gray_profile_holds_for_gray_with_alpha_too(tmp_path):
    profile = linear_gray_profile()
    Image.new("L", (2, 1), 55).save(tmp_path / "L.png", icc_profile=profile)
    assert abs(open_image(tmp_path / "L.png").getpixel((0, 0))[0] - 128) <= 1
    gray = Image.new("LA", (2, 1), (55, 255))
    gray.putpixel((1, 0), (55, 0))
    gray.save(tmp_path / "LA.png", icc_profile=profile)
    keyed = Image.new("L", (2, 1), 55)
    keyed.putpixel((1, 0), 9)
    keyed.save(tmp_path / "key.png", icc_profile=profile, transparency=9)
    for name in ("LA.png", "key.png"):
        shown, hidden = (open_image(tmp_path / name).getpixel((x, 0)) for x in (0, 1))
        assert abs(shown[0] - 128) <= 1 and hidden == (255, 255, 255)


def test_lab_pictures_are_converted():
    white, black = (
        to_rgb(Image.new("LAB", (1, 1), color)).getpixel((0, 0)) for color in ((255, 128, 128), (0, 128, 128))
    )
    assert min(white) > 250 and max(black) < 5


def test_suffixes_are_those_of_pictures_that_open():
    suffixes = readable_suffixes()
    assert {".jpg", ".jfif", ".jpe", ".tga", ".pgm", ".j2k", ".avif", ".webp", ".heic", ".jxl"} - suffixes <= {
        ".heic",
        ".jxl",
    }
    assert not suffixes & {".pdf", ".mpg", ".mpeg", ".eps", ".ps", ".h5", ".hdf", ".wmf", ".grib", ".bufr"}
    assert all(suffix == suffix.lower() for suffix in suffixes)


def test_an_installed_plugin_opens_its_files(tmp_path):
    pillow_jxl = pytest.importorskip("pillow_jxl")
    assert pillow_jxl and ".jxl" in readable_suffixes()
    Image.new("RGB", (6, 4), "red").save(tmp_path / "one.jxl", lossless=True)
    code = "import sys; from sgc_diffusion.analysis.image_input import open_image; print(open_image(sys.argv[1]).size)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "one.jxl")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(6, 4)"


def test_programs_in_files_are_not_run(tmp_path):
    (tmp_path / "drawing.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(ValueError, match="not a picture"):
        open_image(tmp_path / "drawing.eps")


@pytest.mark.parametrize("kind", ["str", "Path", "PIL", "array"])
def test_a_picture_is_loaded_from_whatever_it_comes_as(tmp_path, landscape, kind):
    image, path = landscape(40, 30), tmp_path / "picture.png"
    image.save(path)
    given = {"str": str(path), "Path": path, "PIL": image, "array": np.asarray(image)}[kind]
    loaded = load_picture(given)
    assert (loaded.width, loaded.height) == (40, 30)
    assert np.array_equal(np.asarray(loaded.image), np.asarray(image))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (7, "got int"),
        (None, "got NoneType"),
        (b"data", "not a picture"),
        (Image.new("RGB", (0, 0)), "at least one pixel"),
    ],
)
def test_what_is_no_picture_is_refused_by_the_name_of_the_argument(given, part):
    for read in (load_picture, to_rgb):
        with pytest.raises(ValueError, match=f"`image` .*{part}"):
            read(given)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("size", [(640, 480), (481, 1003), (1003, 3)])
def test_a_reduced_picture_keeps_its_size_and_its_colors(tmp_path, landscape, suffix, size):
    image = landscape(*size)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / f"large{suffix}", exif=exif, quality=95)
    whole = open_image(tmp_path / f"large{suffix}")
    reduced = load_picture(tmp_path / f"large{suffix}", max_pixels=size[0] * size[1] // 30)
    assert (reduced.width, reduced.height) == whole.size == (size[1], size[0])
    assert reduced.image.width * reduced.image.height <= 1.3 * size[0] * size[1] / 30
    grid = (min(12, reduced.image.width), min(9, reduced.image.height))
    means = [np.asarray(image.resize(grid, Image.Resampling.BOX), float) for image in (whole, reduced.image)]
    assert np.abs(means[0] - means[1]).mean() < 3


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a moment")
@pytest.mark.parametrize(("suffix", "max_copies"), [(".jpg", 0.5), (".png", 1.6)])
def test_a_large_picture_takes_little_memory(tmp_path, suffix, max_copies):
    """A copy is what Pillow keeps of the whole picture, four bytes a pixel."""
    Image.new("RGB", (6000, 4000), "teal").save(tmp_path / f"large{suffix}")
    code = """if True:
        import re, sys
        from pathlib import Path
        from sgc_diffusion.analysis.image_input import load_picture, readable_suffixes

        def resident_kib(name):
            return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

        readable_suffixes()
        before = resident_kib("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        loaded = load_picture(sys.argv[1])
        assert (loaded.width, loaded.height) == (6000, 4000)
        assert loaded.image.width * loaded.image.height <= 2**22
        print(1024 * (resident_kib("VmHWM") - before) / (4 * 6000 * 4000))
        """
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / f"large{suffix}")], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < max_copies, done.stdout
