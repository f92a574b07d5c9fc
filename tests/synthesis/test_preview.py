"""The preview: colors that end where labels end, the likeness where there is detail, and limits."""

import time
from dataclasses import replace

import numpy as np
import pytest

from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state
from sgc_diffusion.synthesis.likeness import likeness
from sgc_diffusion.synthesis.preview import WORKING_SIDE, preview, reduced_size


def halves(height=96, width=128, edge=0.45):
    """A dark lower part below a bright upper one; the edge lies inside a row of color cells."""
    rows = (np.arange(height) + 0.5) / height
    picture = np.where(rows[:, None, None] < edge, [90, 140, 220], [60, 70, 30]) + np.zeros((height, width, 1))
    labels = (np.arange(24) + 0.5)[:, None] / 24 > edge
    color_map = picture.reshape(6, height // 6, 8, width // 8, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    layer = LabelLayer(np.repeat(labels + 0, 32, axis=1), "landscape-24")
    payload = SemanticPayload(width, height, layer, ColorLayer.from_color_map(color_map, 0))
    return picture.astype(np.uint8), payload


def error(image, picture):
    return float(((np.asarray(image).astype(float) - picture) ** 2).mean())


def test_colors_end_where_labels_end():
    picture, payload = halves()
    assert error(preview(payload), picture) < error(likeness(payload), picture) / 2


def test_the_means_of_the_cells_are_kept():
    rng = np.random.default_rng(0)
    labels = LabelLayer(np.kron(rng.integers(0, 4, (6, 8)), np.ones((4, 4), int)), "landscape-24")
    color = ColorLayer.from_color_map(rng.integers(60, 200, (6, 8, 3), dtype=np.uint8), 0)
    payload = SemanticPayload(256, 192, labels, color)
    means = np.asarray(preview(payload)).astype(float).reshape(6, 32, 8, 32, 3).mean(axis=(1, 3))
    assert np.abs(means - color.color_map).mean() < 6


def test_where_there_is_detail_it_is_the_likeness():
    picture, payload = halves()
    state = exact_state(picture, payload.color_map)
    exact = replace(payload, layers=(DetailLevel(FIRST_KIND + 15, state),))
    image = preview(exact, 300)
    assert np.array_equal(np.asarray(image), picture) and "Exact in every pixel" in image.info["Description"]
    small = preview(exact, 300, max_side=32)
    assert small.size == (32, 24) and "Exact" not in small.info["Description"]
    assert "300 bytes" in small.info["Description"] and "no network" in small.info["Description"]
    out_of_reach = preview(exact, max_side=32, max_pixels=96 * 128 - 1)
    assert np.array_equal(np.asarray(out_of_reach), np.asarray(preview(payload, max_side=32)))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (1, 700), (33, 500), (900, 20)])
def test_any_size(size):
    _, payload = halves()
    image = preview(replace(payload, width=size[0], height=size[1]))
    assert image.mode == "RGB" and image.size == size


def test_more_pixels_than_allowed_are_refused_and_a_small_one_of_them_is_made():
    _, payload = halves()
    huge = replace(payload, width=120_000, height=90_000)
    with pytest.raises(ValueError, match=r"120000×90000 = 10800000000 pixels, more than the 89478485.+`max_side`"):
        preview(huge)
    assert preview(huge, max_side=400).size == (400, 300)
    with pytest.raises(ValueError, match="`max_side` must be at least 1 pixel, got 0"):
        preview(huge, max_side=0)
    assert reduced_size(4000, 2, 100) == (100, 1) and reduced_size(4000, 2, None) == (4000, 2)


def test_many_labels_take_no_longer_than_a_moment():
    rng = np.random.default_rng(0)
    labels = LabelLayer(rng.integers(0, 182, (128, 128)), "coco-stuff-182")
    color = ColorLayer.from_color_map(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), 20)
    payload = SemanticPayload(512, 512, labels, color)
    started = time.perf_counter()
    assert preview(payload).size == (512, 512)
    assert time.perf_counter() - started < 1  # 60 ms on one core
    assert max(reduced_size(512, 512, WORKING_SIDE)) == 256
