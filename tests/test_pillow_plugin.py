"""`.sgc` files in a program that knows Pillow alone."""

import io
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import fsspec
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import sgc_diffusion.pillow_plugin  # noqa: F401 - registers the format
from sgc_diffusion import bitstream
from sgc_diffusion.analysis.image_input import readable_suffixes
from sgc_diffusion.synthesis.preview import preview

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
DESKTOP = ROOT / "docs" / "desktop"


@pytest.fixture()
def file(tmp_path, tiny_pipeline, landscape):
    """A `.sgc` file without detail, written by Pillow."""
    landscape(96, 64).save(tmp_path / "a.sgc", pipeline=tiny_pipeline, max_bytes=150)
    return tmp_path / "a.sgc"


def test_what_was_saved_is_opened_as_its_preview(file):
    assert file.stat().st_size <= 150
    with Image.open(file) as image:
        assert (image.format, image.mode, image.size) == ("SGC", "RGB", (96, 64))
        assert image.get_format_mimetype() == "image/x-sgc"
        assert image.info["bytes"] == sum(image.info["layers"].values()) == file.stat().st_size
        assert sum(image.info["labels"].values()) == pytest.approx(1) and image.info["recipe"]["profile"] == "custom"
        expected = preview(bitstream.decode(file.read_bytes()))
        assert np.array_equal(np.asarray(image), np.asarray(expected))
        assert "no network" in image.info["Description"]
        assert image.copy().convert("L").rotate(90, expand=True).size == (64, 96)
    file.unlink()  # no handle is left


def test_a_lossless_file_is_opened_exactly(tmp_path, tiny_pipeline, landscape):
    picture = landscape(48, 40)
    picture.save(tmp_path / "exact.sgc", quality=100, pipeline=tiny_pipeline)
    with Image.open(tmp_path / "exact.sgc") as image:
        assert np.array_equal(np.asarray(image), np.asarray(picture))
    with Image.open(tmp_path / "exact.sgc") as image:
        image.verify()


def test_file_objects_and_fsspec(file):
    with fsspec.open("memory://folder/a.sgc", "wb") as target:
        target.write(file.read_bytes())
    with fsspec.open("memory://folder/a.sgc") as source, Image.open(source) as image:
        assert image.getpixel((5, 5)) is not None
    stream = io.BytesIO(file.read_bytes())
    image = Image.open(stream)
    assert image.load() is not None and not stream.closed


def test_a_thumbnail_of_a_huge_picture_costs_nothing(file, monkeypatch):
    huge = replace(bitstream.decode(file.read_bytes()), width=12_000, height=9_000)
    file.write_bytes(bitstream.encode(huge))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 200_000_000)
    with Image.open(file) as image:
        assert image.size == (12_000, 9_000)
        image.thumbnail((128, 128))
        assert image.size == (128, 96)
        assert image.im is not None
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10_000_000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(file)


@pytest.mark.parametrize(
    "name",  # recipe.sgc declares a picture of 10¹² pixels, which Pillow refuses
    sorted(path.name for path in GOLDEN.glob("*.sgc") if path.stem not in ("sealed", "recipe")),
)
def test_every_golden_file_opens(name):
    with Image.open(GOLDEN / name) as image:
        image.thumbnail((64, 64))
        assert max(image.size) <= 64


def test_what_is_damaged_or_sealed_says_so(file):
    data = file.read_bytes()
    for broken, message in ((data[:20], "cannot be read"), (b"SGC\x0f" + data[4:], "cannot be read")):
        with pytest.raises(OSError, match=message):
            Image.open(io.BytesIO(broken))
    with pytest.raises(OSError, match="sealed"):
        Image.open(GOLDEN / "sealed.sgc")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(GOLDEN / "recipe.sgc")
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(b"GIF" + data[3:]))
    with Image.open(io.BytesIO(data + b"\x08\x05rest")) as image, pytest.raises(OSError, match="damaged"):
        image.verify()


def test_the_real_picture_is_drawn_when_asked_for(file, tiny_pipeline):
    with Image.open(file) as image:
        drawn = image.draw(tiny_pipeline, num_inference_steps=2)
        assert drawn.size == image.size and "not evidence" in drawn.info["Description"]


def test_it_is_no_picture_to_compress_once_more():
    assert ".sgc" not in readable_suffixes()


def test_opening_imports_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\nfrom PIL import Image\nimport sgc_diffusion.pillow_plugin\n"
        "image = Image.open(sys.argv[1]); image.load(); print(image.size)\n"
        "try:\n    image.draw()\nexcept ImportError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(GOLDEN / "tiny.sgc")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "(64, 48)" and "sgc-diffusion[torch]" in done.stdout


@pytest.mark.skipif(shutil.which("file") is None, reason="needs file")
def test_file_knows_it_by_its_magic(tmp_path):
    def described(name, *options):
        command = ["file", "--brief", *options, "-m", DESKTOP / "sgc.magic", GOLDEN / name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert described("tiny.sgc") == "SGC compressed image, version 1"
    assert described("sealed.sgc").endswith("version 1, sealed")
    assert described("recipe.sgc", "--mime-type") == "image/x-sgc"


def test_the_desktop_entries_name_the_type_and_make_thumbnails(tmp_path):
    (mime_type,) = ElementTree.parse(DESKTOP / "sgc.xml").getroot()
    assert mime_type.get("type") == "image/x-sgc"
    entry = dict(line.split("=", 1) for line in (DESKTOP / "sgc.thumbnailer").read_text().splitlines()[1:])
    assert entry["MimeType"] == "image/x-sgc;"
    source, target = tmp_path / "a picture.sgc", tmp_path / "thumbnail without a suffix"
    shutil.copy(GOLDEN / "coco-32.sgc", source)
    values = {"%i": str(source), "%o": str(target), "%s": "64"}
    (tmp_path / "sgc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sgc_diffusion "$@"\n')
    (tmp_path / "sgc").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    subprocess.run([values.get(word, word) for word in shlex.split(entry["Exec"])], check=True, env=environment)
    with Image.open(target) as image:
        assert image.format == "PNG" and max(image.size) == 64


def test_a_picture_with_alpha_is_opened_with_it(tmp_path, tiny_pipeline):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 4), dtype=np.uint8)
    pixels[..., 3] = 255 * (pixels[..., 3] > 30)
    Image.fromarray(pixels).save(tmp_path / "exact.sgc", quality=100, pipeline=tiny_pipeline)
    with Image.open(tmp_path / "exact.sgc") as image:
        assert image.mode == "RGBA" and np.array_equal(np.asarray(image), pixels)
    with Image.open(tmp_path / "exact.sgc") as image:
        image.thumbnail((16, 16))
        assert image.mode == "RGBA" and max(image.size) == 16
    Image.fromarray(pixels).save(tmp_path / "plain.sgc", max_bytes=300, pipeline=tiny_pipeline)
    with Image.open(tmp_path / "plain.sgc") as image:
        assert image.mode == "RGBA" and np.asarray(image)[..., 3].min() < 255
