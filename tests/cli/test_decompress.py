"""`sgc decompress`: which pipeline draws, what is refused before it is loaded, and where pictures go."""

import io
import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import ColorLayer, DecoderRecipe, LabelLayer, SemanticPayload, decode, encode
from sgc_diffusion.cli import main


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def make_payload(profile="landscape-256", width=64, height=48, **recipe):
    labels = LabelLayer(np.zeros((4, 4), np.uint8), "landscape-24")
    color = ColorLayer.from_color_map(np.full((4, 4, 3), 128, np.uint8), quality=20)
    return SemanticPayload(width, height, labels, color, DecoderRecipe(profile=profile, **recipe))


def test_files_are_drawn_back(compressed, tiny_pipeline_folder, run):
    options = ["--pipeline", tiny_pipeline_folder, "--steps", 3, "--json"]
    code, out, _ = run("decompress", compressed / "*.sgc", "-o", compressed / "drawn", *options)
    results = lines(out)
    assert code == 0
    assert [(result["width"], result["height"]) for result in results] == [(64, 48), (40, 40)]
    assert results[0]["bytes"] == (compressed / "a.sgc").stat().st_size
    with Image.open(results[0]["output"]) as image:
        assert image.size == (64, 48)
        assert "not evidence" in image.text["Description"]


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("png", "PNG"),
        ("jpg", "JPEG"),
        ("JPEG", "JPEG"),
        ("webp", "WEBP"),
        ("tif", "TIFF"),
        ("avif", "AVIF"),
        ("jp2", "JPEG2000"),
    ],
)
def test_the_suffix_chooses_the_format(compressed, tiny_pipeline_folder, run, suffix, kind):
    output = compressed / f"drawn.{suffix}"
    options = ["--pipeline", tiny_pipeline_folder, "--steps", 1, "-o", output]
    assert run("decompress", compressed / "a.sgc", *options)[0] == 0
    with Image.open(output) as image:
        assert image.format == kind


@pytest.mark.parametrize("name", ["drawn.sgc", "drawn.pdf", "drawn.bmp", "drawn.txt"])
def test_other_formats_are_refused(compressed, run, name):
    code, _, err = run("decompress", compressed / "a.sgc", "-o", compressed / name, "--force", "--pipeline", "none")
    assert code == 2 and "must end in" in err and ".png" in err


def test_a_seed_and_a_preset_draw_as_the_pipeline_does(compressed, tiny_pipeline_folder, tiny_pipeline, run):
    options = ["--pipeline", tiny_pipeline_folder, "--force"]
    payload = decode((compressed / "a.sgc").read_bytes())
    for extra, recipe in (
        (["--seed", 7, "--steps", 2], {"seed": 7, "num_inference_steps": 2}),
        (["--preset", "sdedit", "--steps", 2], {"strength": 0.7, "guidance_scale": 2.0, "num_inference_steps": 2}),
    ):
        assert run("decompress", compressed / "a.sgc", *options, *extra)[0] == 0
        expected = tiny_pipeline(replace(payload, recipe=replace(payload.recipe, **recipe))).images[0]
        with Image.open(compressed / "a.decoded.png") as drawn:
            assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_the_profile_in_the_file_chooses_the_pipeline(compressed, run):
    """The embedded pipeline is loaded for its files; that of another profile is not here, and said so."""
    (compressed / "land.sgc").write_bytes(encode(make_payload(scheduler="lcm", num_inference_steps=1)))
    for name in ("x", "y"):
        (compressed / f"{name}.sgc").write_bytes(encode(make_payload("semantic-synthesis-512")))
    names = [compressed / f"{name}.sgc" for name in ("x", "land", "y", "a")]
    code, out, err = run("decompress", *names, "--json", "-o", compressed / "drawn")
    assert code == 1
    outcomes = {result["input"].rpartition("/")[2]: result.get("error", "drawn") for result in lines(out)}
    assert outcomes["land.sgc"] == "drawn"
    assert outcomes["x.sgc"] == outcomes["y.sgc"] and "semantic-synthesis-512" in outcomes["x.sgc"]
    assert "give that as --pipeline" in outcomes["a.sgc"]  # the tiny pipeline has no name in the format
    assert err.count("sgc convert") == 1 and "1 more files" in err  # once for both
    assert err.endswith("sgc: 1 done, 0 skipped, 3 failed\n")


def test_a_pipeline_of_another_profile_is_told_with_the_files_name(
    compressed, tiny_pipeline_folder, tiny_pipeline, run
):
    payload = make_payload(num_inference_steps=1, strength=0.5, seed=9)
    (compressed / "land.sgc").write_bytes(encode(payload))
    options = ["--pipeline", tiny_pipeline_folder, "--json"]
    code, out, err = run("decompress", compressed / "land.sgc", *options)
    assert code == 0 and "land.sgc" in err and "landscape-256" in err and len(err.splitlines()) == 1
    assert "landscape-256" in lines(out)[0]["warnings"][0]
    own = DecoderRecipe.from_preset(tiny_pipeline.config.preset, profile="custom", seed=9)
    expected = tiny_pipeline(replace(payload, recipe=own)).images[0]
    with Image.open(compressed / "land.decoded.png") as drawn:
        assert np.array_equal(np.asarray(drawn), np.asarray(expected))


def test_a_declared_size_is_refused_before_anything_loads(compressed, run):
    huge = compressed / "huge.sgc"
    huge.write_bytes(encode(make_payload(width=60000, height=60000)))
    code = (
        "import sys; from sgc_diffusion.cli import main; c = main(sys.argv[1:]); sys.exit(9 if 'torch' in sys.modules "
        "else c)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "decompress", str(huge)], capture_output=True, text=True, check=False
    )
    assert time.perf_counter() - started < 5  # a loaded machine; well under a second on an idle one
    assert done.returncode == 1
    assert all(part in done.stderr for part in ("huge.sgc", "60000x60000", "89478485", "--max-pixels"))
    assert run("verify", huge)[0] == run("inspect", huge)[0] == 0


def test_the_limit_can_be_set(compressed, tiny_pipeline_folder, run):
    command = ["decompress", compressed / "a.sgc", "--steps", 1, "--pipeline", tiny_pipeline_folder, "--max-pixels"]
    assert run(*command, 64 * 48 - 1)[0] == 1
    assert run(*command, 64 * 48)[0] == 0


def test_keys(folder, tiny_pipeline_folder, run):
    key, wrong, words = folder / "key", folder / "wrong", folder / "words"
    key.write_bytes(("11" * 32 + "\r\n").encode("utf-16"))  # as PowerShell writes it
    wrong.write_bytes(bytes(32))
    words.write_text("correct horse\r\n", encoding="utf-8-sig")
    options = ["--pipeline", tiny_pipeline_folder]
    command = ["compress", folder / "a.png", "--max-bytes", 90, "--key-file", key, "--json", *options]
    code, out, _ = run(*command)
    assert code == 0 and lines(out)[0]["bytes"] == (folder / "a.sgc").stat().st_size <= 90
    assert run("verify", folder / "a.sgc", "--key-file", key)[1].endswith("a.sgc: intact, sealed\n")
    shown = lines(run("inspect", folder / "a.sgc", "--json")[1])[0]
    assert shown["encrypted"] and list(shown["layers"]) == ["header", "sealed"] and "labels" not in shown
    assert lines(run("inspect", folder / "a.sgc", "--json", "--key-file", key)[1])[0]["labels"]
    for extra in ([], ["--key-file", wrong], ["--passphrase-file", words]):
        for command in (["verify"], ["decompress", *options]):
            code, _, err = run(command[0], folder / "a.sgc", *command[1:], *extra)
            assert code == 1 and "key" in err and len(err.strip().splitlines()) == 1
    assert run("decompress", folder / "a.sgc", "--steps", 2, "--key-file", key, *options)[0] == 0
    assert run("compress", folder / "b.jpg", "--passphrase-file", words, *options)[0] == 0
    words.write_bytes("correct horse".encode("utf-16"))
    assert run("decompress", folder / "b.sgc", "--steps", 1, "--passphrase-file", words, *options)[0] == 0


def test_a_wrong_key_is_found_before_anything_loads(folder, tiny_pipeline_folder, run):
    key = folder / "key"
    key.write_text("11" * 32)
    assert run("compress", folder / "a.png", "--key-file", key, "--pipeline", tiny_pipeline_folder)[0] == 0
    for extra in ([], ["--key-file", key]):
        code, _, err = run("decompress", folder / "a.sgc", *extra, "--pipeline", "no-such-pipeline")
        assert code == 1 and ("no-such-pipeline" in err) == bool(extra)


@pytest.mark.parametrize("output", [[], ["-o", "-"], ["-o", "/dev/stdout"]])
def test_a_picture_can_come_and_leave_through_a_stream(compressed, tiny_pipeline_folder, monkeypatch, output):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((compressed / "a.sgc").read_bytes())))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    assert main(["decompress", "-", *output, "--pipeline", str(tiny_pipeline_folder), "--steps", "1"]) == 0
    with Image.open(io.BytesIO(sys.stdout.buffer.getvalue())) as image:
        assert (image.format, image.size) == ("PNG", (64, 48)) and "not evidence" in image.text["Description"]


def test_one_file_is_drawn_by_generators_of_other_kinds(tmp_path, run):
    from diffusers import logging

    from sgc_diffusion.families.gan import GanCompressionPipeline
    from sgc_diffusion.synthesis.gan import LabelGenerator

    logging.disable_progress_bar()
    generator = LabelGenerator(24, (32, 32), (1, 1, 1), (8, 8), (1, 1), style_channels=4)
    GanCompressionPipeline(generator, taxonomy="landscape-24").save_pretrained(tmp_path / "gan")
    (tmp_path / "a.sgc").write_bytes(encode(make_payload()))
    options = ["--decoder", "gan", "-o", tmp_path / "a.png"]
    code, out, err = run("decompress", tmp_path / "a.sgc", *options, "--pipeline", tmp_path / "gan")
    assert code == 0 and "64x48 drawn" in out, err
    code, _, err = run("decompress", tmp_path / "a.sgc", *options, "--force")
    assert code == 1 and "'labels-gan' is not here" in err
    assert "give the folder of a pipeline that draws with gan as --pipeline" in err
    options[1] = "diffusion"
    code, _, err = run("decompress", tmp_path / "a.sgc", *options, "--force", "--pipeline", tmp_path / "gan")
    assert code == 1 and "this pipeline has none; it draws with gan" in err
