"""`sgc inspect --plot` and `sgc compare`: pictures to look at."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream

GOLDEN = Path(__file__).parents[1] / "golden/coco-32.sgc"


def test_a_plot_shows_labels_legend_colors_and_bytes(compressed, run):
    code, out, _ = run("inspect", compressed / "a.sgc", "--plot", compressed / "plot.png")
    assert code == 0 and "labels:" in out
    payload = bitstream.decode((compressed / "a.sgc").read_bytes())
    with Image.open(compressed / "plot.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    shown = set(map(tuple, pixels.tolist()))
    labels = np.unique(payload.label_map)
    assert {tuple(color) for color in payload.labels.taxonomy.palette[labels].tolist()} <= shown
    assert {tuple(color) for color in payload.color_map.reshape(-1, 3).tolist()} <= shown
    assert run("inspect", compressed / "a.sgc", "--plot", compressed / "plot.png")[0] == 0  # is made anew
    assert run("inspect", compressed, "--plot", compressed / "plot.png")[0] == 2
    code, _, err = run("inspect", compressed / "a.sgc", "--plot", compressed / "plot.nothing")
    assert code == 1 and ".png" in err


def test_files_and_codecs_stand_beside_the_original(compressed, run):
    with Image.open(compressed / "a.png") as image:
        image.save(compressed / "small.jpg", quality=5)
    files = [compressed / "a.png", compressed / "a.sgc", compressed / "small.jpg"]
    code, out, _ = run("compare", *files, "--decoder", "preview", "--codecs", "webp", "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [result["input"] for result in results] == ["a.sgc", "small.jpg", "webp, reduced"]
    assert results[1]["bytes"] == (compressed / "small.jpg").stat().st_size
    assert all(result["PSNR"] > 10 and 0 <= result["sharpness"] for result in results)
    with Image.open(compressed / "a.compare.png") as sheet:
        assert sheet.width > 4 * 384 and sheet.height > 288
    code, out, _ = run("compare", compressed / "a.png", compressed / "a.png", "-o", compressed / "same.png")
    assert code == 0 and "PSNR 100 dB" in out


@pytest.mark.parametrize("decoder", ["likeness", "drawn"])
def test_a_file_is_decoded_as_was_asked(compressed, tiny_pipeline_folder, run, decoder):
    options = ["--pipeline", tiny_pipeline_folder, "-o", compressed / "sheet.png"]
    assert run("compare", compressed / "a.png", compressed / "a.sgc", "--decoder", decoder, *options)[0] == 0


def test_what_cannot_be_compared_says_so(compressed, run):
    code, _, err = run("compare", compressed / "a.png", compressed / "missing.sgc")
    assert code == 1 and "No such file" in err
    code, _, err = run("compare", compressed / "a.png", compressed / "b.sgc", "--codecs", "gif", "--decoder", "preview")
    assert code == 2 and "'gif' is none of" in err


def test_a_sheet_can_go_to_standard_output(compressed, sgc):
    done = sgc("compare", compressed / "a.png", compressed / "a.sgc", "--decoder", "preview", "-o", "-")
    assert done.returncode == 0 and b"PSNR" in done.stderr
    assert Image.open(io.BytesIO(done.stdout)).format == "PNG"


def test_the_original_or_a_file_can_come_from_standard_input(compressed, run, monkeypatch):
    options = ["--decoder", "preview", "-o", compressed / "sheet.png"]
    _, expected, _ = run("compare", compressed / "a.png", compressed / "a.sgc", *options)
    for arguments, given in [(("-", compressed / "a.sgc"), "a.png"), ((compressed / "a.png", "-"), "a.sgc")]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((compressed / given).read_bytes())))
        code, out, _ = run("compare", *arguments, *options)
        assert code == 0 and out.split(": ")[1] == expected.split(": ")[1]
    code, _, err = run("compare", "-", "-", *options)
    assert code == 2 and "standard input holds one" in err
    code, _, err = run("compare", "-", compressed / "a.sgc", "--json")
    assert code == 2 and "standard output" in err  # where the sheet of a nameless picture goes


def test_a_plot_can_go_to_standard_output(sgc, run):
    done = sgc("inspect", GOLDEN, "--plot", "-")
    assert done.returncode == 0 and b"labels:" in done.stderr
    assert Image.open(io.BytesIO(done.stdout)).format == "PNG" and done.stdout.endswith(b"IEND\xaeB`\x82")
    assert run("inspect", GOLDEN, "--plot", "-", "--json")[0] == 2
