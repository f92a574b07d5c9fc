"""`sgc decompress --decoder likeness`: without a network and without torch."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, DecoderRecipe, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state
from sgc_diffusion.synthesis.likeness import likeness

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)


def payload(*levels, width=41, **recipe):
    color = ColorLayer.from_color_map(PICTURE[::8, ::8].copy(), 32)
    state = exact_state(PICTURE, color.color_map)
    layers = tuple(DetailLevel(FIRST_KIND + level, state) for level in levels)
    labels = LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24")
    return SemanticPayload(width, 30, labels, color, DecoderRecipe(**recipe), layers)


def test_an_exact_file_gives_the_picture_back(tmp_path, run):
    (tmp_path / "a.sgc").write_bytes(bitstream.encode(payload(2, 15, profile="custom")))
    (tmp_path / "b.sgc").write_bytes(bitstream.encode(payload(2), key=bytes(32)))
    (tmp_path / "key").write_text("00" * 32)
    code, out, err = run("decompress", "--decoder", "likeness", tmp_path, "--json")
    assert code == 1 and "b.sgc: is encrypted" in err
    assert json.loads(out.splitlines()[0])["width"] == 41
    with Image.open(tmp_path / "a.decoded.png") as image:
        assert np.array_equal(np.asarray(image), PICTURE) and "Exact in every pixel" in image.info["Description"]
    command = ["decompress", "--decoder", "likeness", tmp_path / "b.sgc", "--key-file", tmp_path / "key"]
    assert run(*command, "-o", tmp_path / "b.jpg")[0] == 0
    assert run(*command, "-o", tmp_path / "b.jpg")[0] == 1  # is there already
    assert run(*command, "-o", tmp_path / "b.jpg", "--force", "--max-pixels", 41 * 30 - 1)[0] == 1


def test_torch_is_not_needed(tmp_path):
    (tmp_path / "a.sgc").write_bytes(bitstream.encode(payload(4)))
    code = "import sys; sys.modules['torch'] = None; from sgc_diffusion.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "decompress", "--decoder", "likeness", str(tmp_path / "a.sgc")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.decoded.png").exists()


@pytest.mark.parametrize("width", [60_000])
def test_a_declared_size_is_refused(tmp_path, run, width):
    (tmp_path / "a.sgc").write_bytes(bitstream.encode(payload(width=width)))
    code, _, err = run("decompress", "--decoder", "likeness", tmp_path / "a.sgc", "--max-pixels", 10_000)
    assert code == 1 and "--max-pixels" in err


def test_quality_100_and_back_is_the_picture(folder, tiny_pipeline_folder, run):
    assert run("compress", folder / "a.png", "-q", 100, "--pipeline", tiny_pipeline_folder)[0] == 0
    assert run("decompress", folder / "a.sgc", "--decoder", "likeness")[0] == 0
    with Image.open(folder / "a.png") as original, Image.open(folder / "a.decoded.png") as decoded:
        assert np.array_equal(np.asarray(decoded), np.asarray(original))
    with pytest.raises(SystemExit):
        run("compress", folder / "a.png", "-q", 101)
    with pytest.raises(SystemExit):
        run("compress", folder / "a.png", "-q", 50, "--max-bytes", 90)


def test_an_exact_file_needs_no_decoder_pipeline_or_torch(tmp_path):
    (tmp_path / "a.sgc").write_bytes(bitstream.encode(payload(15, profile="custom")))
    (tmp_path / "b.sgc").write_bytes(bitstream.encode(payload(profile="custom", strength=0)))
    code = "import sys; sys.modules['torch'] = None; from sgc_diffusion.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "decompress", str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "a.decoded.png") as image:
        assert np.array_equal(np.asarray(image), PICTURE)
    with Image.open(tmp_path / "b.decoded.png") as image:
        assert np.array_equal(np.asarray(image), likeness(payload()))


def test_an_exact_file_comes_through_a_stream(sgc):
    data = bitstream.encode(payload(15, profile="custom"))
    done = sgc("decompress", "-", "-o", "-", input=data)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert np.array_equal(np.asarray(image), PICTURE)


def test_a_preview_is_decoded(tmp_path, run):
    (tmp_path / "a.sgc").write_bytes(bitstream.encode(payload()))
    assert run("decompress", tmp_path / "a.sgc", "--decoder", "preview")[1].endswith("s\n")
    with Image.open(tmp_path / "a.decoded.png") as image:
        assert image.size == (41, 30) and image.text["Description"].startswith("Preview by")


def test_a_picture_comes_back_with_alpha_and_metadata(tmp_path, run, tiny_pipeline_folder):
    pixels = np.random.default_rng(1).integers(0, 256, (30, 41, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    command = ["compress", tmp_path / "a.png", "--pipeline", tiny_pipeline_folder, "-q", 100]
    assert run(*command, "--keep-metadata")[0] == 0
    assert run("decompress", "--decoder", "likeness", tmp_path / "a.sgc", "-o", tmp_path / "b.png")[0] == 0
    with Image.open(tmp_path / "b.png") as image:
        assert np.array_equal(np.asarray(image), pixels) and image.getexif()[ExifTags.Base.Make] == "a camera"
    assert run(*command, "--no-alpha", "--force")[0] == 0
    assert run("decompress", "--decoder", "likeness", tmp_path / "a.sgc", "-o", tmp_path / "c.png")[0] == 0
    with Image.open(tmp_path / "c.png") as image:
        assert image.mode == "RGB" and not image.getexif()
