"""The pipeline that the package ships, as a user meets it: by name, from the command line, in the demo."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, decode
from sgc_diffusion.synthesis.latent_diffusion import build_scheduler, select_timesteps

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pipeline():
    pipeline = SemanticCompressionPipeline.from_pretrained("landscape-256")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def color_psnr_db(image, payload):
    rows, columns = payload.color_map.shape[:2]
    found = np.asarray(image.resize((columns, rows), Image.Resampling.BOX), dtype=float)
    return 10 * np.log10(255**2 / max(1e-9, np.mean((found - payload.color_map) ** 2)))


@pytest.mark.parametrize("size", [(256, 256), (320, 200), (37, 51), (1, 1), (1, 200)])
def test_pictures_of_every_size_come_back(pipeline, landscape, size):
    data = pipeline.compress(landscape(*size))
    payload, image = decode(data), pipeline.decompress(data).images[0]
    assert image.size == size
    assert len(data) < 400
    assert color_psnr_db(image, payload) >= 22


def test_texture_is_drawn_rather_than_blur_or_noise(pipeline, landscape):
    original = landscape(256, 256)
    drawn = pipeline.decompress(pipeline.compress(original)).images[0]
    gradients = [np.abs(np.diff(np.asarray(one.convert("L"), float))).mean() for one in (drawn, original)]
    assert 0.3 < gradients[0] / gradients[1] < 3


@pytest.mark.parametrize("sampler", ["dpm-solver++", "ddim", "unipc", "lcm"])
def test_pictures_start_from_the_end_of_the_noise_schedule(pipeline, sampler):
    """A start below it is taken for a picture whose layout shows through the noise, and comes out soft."""
    scheduler = build_scheduler(sampler, pipeline.scheduler)
    timesteps = select_timesteps(scheduler, 4, 1.0, torch.device("cpu"))
    assert timesteps[0] == scheduler.config.num_train_timesteps - 1


@pytest.mark.parametrize(("sampler", "strength", "num_starts"), [("unipc", 1.0, 2), ("lcm", 1.0, 4), ("unipc", 0.9, 1)])
def test_pictures_from_noise_are_drawn_over(pipeline, landscape, sampler, strength, num_starts):
    seen = []
    pipeline(
        pipeline.analyze(landscape(64, 64)),
        num_inference_steps=4,
        strength=strength,
        scheduler=sampler,
        callback_on_step_end=lambda pipe, step, timestep, tensors: seen.append(step) or tensors,
    )
    assert (seen.count(0), len(seen)) == (num_starts, 4)


def test_seeds_change_details_and_keep_the_content(pipeline, landscape):
    payload = pipeline.analyze(landscape(256, 256))
    drawn = [pipeline(payload, generator=torch.Generator().manual_seed(seed)).images[0] for seed in (1, 2)]
    arrays = [np.asarray(one, dtype=float) for one in drawn]
    assert np.abs(arrays[0] - arrays[1]).mean() > 1
    assert all(color_psnr_db(one, payload) >= 22 for one in drawn)


def test_sky_is_found_above_and_kept(pipeline, landscape):
    payload = pipeline.analyze(landscape(256, 256))
    names = payload.labels.taxonomy.names
    assert np.mean(payload.label_map[:8] == names.index("sky")) > 0.8
    again = pipeline.analyze(pipeline(payload).images[0])
    assert np.mean(again.label_map[:8] == names.index("sky")) > 0.8


def test_demo_writes_file_picture_and_sheet(tmp_path, landscape):
    landscape(300, 200).save(tmp_path / "mine.jpg")
    command = [sys.executable, str(ROOT / "pipelines" / "demo.py"), str(tmp_path / "mine.jpg")]
    shown = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True, check=True).stdout
    with Image.open(tmp_path / "mine.decoded.png") as drawn, Image.open(tmp_path / "side_by_side.png") as sheet:
        assert drawn.size == (300, 200)
        assert sheet.width > 4 * sheet.height
    assert f"{(tmp_path / 'mine.sgc').stat().st_size} bytes" in shown and "bpp" in shown


def test_demo_says_what_is_wrong_with_a_picture(tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    command = [sys.executable, str(ROOT / "pipelines" / "demo.py"), str(tmp_path / "no.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["no.jpg"]


def test_round_trip_script(tmp_path, landscape):
    landscape(256, 256).save(tmp_path / "in.png")
    command = [sys.executable, str(ROOT / "pipelines" / "round_trip.py"), str(tmp_path / "in.png")]
    shown = subprocess.run([*command, str(tmp_path / "out.png")], capture_output=True, text=True, check=True).stdout
    assert "bpp" in shown
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (256, 256) and "not evidence" in drawn.text["Description"]
