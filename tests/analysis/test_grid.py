"""One rule which pixel is in which cell: what is voted on is what is judged and what is drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgc_diffusion.analysis.color import extract_color_map
from sgc_diffusion.analysis.grid import grid_size, vote
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.analysis.rate_control import label_distortion
from sgc_diffusion.payload.grid import cell_indices, enlarge
from sgc_diffusion.synthesis.conditioning import label_planes
from sgc_diffusion.synthesis.controlnet import draw_labels


@pytest.mark.parametrize(
    ("size", "cells", "expected"),
    [
        ((512, 512), 1024, (32, 32)),
        ((256, 256), 256, (16, 16)),
        ((768, 512), 256, (13, 20)),
        ((1, 1), 1024, (1, 1)),
        ((2000, 1), 256, (1, 64)),
        ((1, 2000), 256, (64, 1)),
        ((3, 2), 256, (2, 3)),
    ],
)
def test_grid_follows_the_aspect(size, cells, expected):
    assert grid_size(*size, cells, 64) == expected


def test_color_map_is_the_mean_of_each_cell():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = pixels.reshape(16, 4, 16, 4, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(extract_color_map(Image.fromarray(pixels)) - expected).max() <= 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_map_that_a_grid_can_hold_is_voted_judged_and_drawn_as_it_is(data):
    rows, columns = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    height, width = data.draw(st.integers(rows, 130)), data.draw(st.integers(columns, 130))
    coarse = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 24, (rows, columns), dtype=np.uint8)
    fine, weights = enlarge(coarse, height, width), np.ones(24)
    assert np.array_equal(vote(fine, rows, columns), coarse)
    assert np.array_equal(vote(fine, rows, columns, weights), coarse)
    assert label_distortion(fine, coarse, weights) == 0
    assert np.array_equal(label_planes(coarse, 24, height, width).argmax(0).numpy(), fine)
    palette = np.arange(72, dtype=np.uint8).reshape(24, 3)
    drawn = (draw_labels(coarse, palette, height, width) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(drawn, palette[fine])


def test_noise_at_forty_cells_a_side_is_judged_as_right():
    noise = np.random.default_rng(0).integers(0, 24, (40, 40), dtype=np.uint8)
    fine = enlarge(noise, 125, 128)
    assert label_distortion(fine, vote(fine, 40, 40), np.ones(24)) == 0


def test_conditions_may_have_more_cells_than_latents():
    label_map = np.random.default_rng(0).integers(0, 9, (50, 70), dtype=np.uint8)
    planes = label_planes(label_map, 9, 8, 6)
    assert torch.equal(planes.sum(0), torch.ones(8, 6))
    assert np.array_equal(planes.argmax(0).numpy(), label_map[cell_indices(8, 50)][:, cell_indices(6, 70)])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_majority_wins_and_ties_go_to_the_smallest_id(dtype):
    label_map = np.array([[5, 5, 2, 7], [5, 1, 7, 2]], dtype=dtype)
    for weights in (None, np.ones(8)):
        coarse = vote(label_map, 1, 2, weights)
        assert coarse.tolist() == [[5, 2]] and coarse.dtype == dtype


def test_ids_above_a_byte_are_not_cut():
    assert vote(np.array([[300, 300, 44]]), 1, 1).tolist() == [[300]]


def test_a_heavy_class_survives_where_the_majority_would_not_show_it():
    label_map = np.ones((8, 8), np.uint8)
    label_map[0, 0] = 12
    weights = np.ones(24)
    assert vote(label_map, 2, 2, weights).tolist() == [[1, 1], [1, 1]]
    weights[12] = 20
    assert vote(label_map, 2, 2, weights).tolist() == [[12, 1], [1, 1]]


def test_a_cell_of_weightless_classes_has_a_label_of_its_own():
    label_map = np.array([[3, 3, 7, 7]], np.uint8)
    assert vote(label_map, 1, 2, np.zeros(24)).tolist() == [[3, 7]]


@pytest.mark.parametrize(("rows", "columns"), [(6, 7), (2, 22), (0, 3)])
def test_a_grid_finer_than_the_map_is_refused(rows, columns):
    with pytest.raises(ValueError, match="fewer cells"):
        vote(np.zeros((5, 21), np.uint8), rows, columns)


@pytest.mark.parametrize("label_map", [np.zeros((2, 2)), np.full((2, 2), -1)])
def test_ids_that_are_none_are_refused(label_map):
    with pytest.raises(ValueError, match="integers from 0 on"):
        vote(label_map, 1, 1)


def test_a_class_without_weight_is_refused():
    with pytest.raises(ValueError, match="holds id 24, but there are only 24 weights"):
        vote(np.full((2, 2), 24, np.uint8), 1, 1, np.ones(24))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (37, 51), (300, 200)])
def test_segmenter_covers_every_size(tiny_pipeline, size):
    label_map = segment_images(tiny_pipeline.segmenter, [Image.new("RGB", size)], short_side=64)[0]
    assert label_map.dtype == np.uint8
    assert label_map.shape == grid_size(*size, 1024, 1024)
