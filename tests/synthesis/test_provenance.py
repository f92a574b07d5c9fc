import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.synthesis.provenance import DIGITAL_SOURCE_TYPE, mark_generated, save_image


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_every_format_carries_the_source_type(tmp_path, suffix):
    image = mark_generated(Image.new("RGB", (8, 8), "teal"), 147, "landscape-256")
    save_image(image, tmp_path / f"picture{suffix}")
    with Image.open(tmp_path / f"picture{suffix}") as saved:
        xmp = saved.info["xmp"]
        packet = xmp if isinstance(xmp, bytes) else xmp.encode()
        assert DIGITAL_SOURCE_TYPE.encode() in packet
        assert b"from 147 bytes" in packet
        assert ElementTree.fromstring(packet).tag == "{adobe:ns:meta/}xmpmeta"
    assert (tmp_path / f"picture{suffix}").read_bytes().count(b"xmpmeta") == 2  # one packet, not two


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_a_plain_save_keeps_it(tmp_path, file_format):
    image = mark_generated(Image.new("RGB", (8, 8)), 99, "landscape-256")
    stream = io.BytesIO()
    image.save(stream, file_format)
    image.save(str(tmp_path / f"picture.{file_format}"))
    with open(tmp_path / f"open.{file_format}", "wb") as file:
        image.save(file)
    for data in (stream.getvalue(), *(path.read_bytes() for path in tmp_path.iterdir())):
        assert DIGITAL_SOURCE_TYPE.encode() in data


def test_other_formats_save_as_pillow_does(tmp_path):
    mark_generated(Image.new("RGB", (8, 8), "teal"), 99, "landscape-256").save(tmp_path / "picture.bmp")
    with Image.open(tmp_path / "picture.bmp") as saved:
        assert saved.getpixel((0, 0)) == (0, 128, 128)


def test_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.png"):
        save_image(mark_generated(Image.new("RGB", (8, 8)), 1, "x"), tmp_path / "picture.xyz")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
