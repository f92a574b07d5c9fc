import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.analysis.color import extract_color_map, grid_size
from sgc_diffusion.analysis.labels import reduce_by_majority, segment_images


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


def test_majority_wins_and_ties_go_to_the_smallest_id():
    label_map = np.array([[5, 5, 2, 7], [5, 1, 7, 2]], dtype=np.uint8)
    assert reduce_by_majority(label_map, 1, 2).tolist() == [[5, 2]]


def test_majority_on_a_grid_that_does_not_divide():
    label_map = np.repeat(np.arange(7, dtype=np.uint8), 3)[None].repeat(5, 0)  # 5×21
    found = reduce_by_majority(label_map, 2, 7)
    assert found.tolist() == [list(range(7))] * 2
    with pytest.raises(ValueError, match="fewer cells"):
        reduce_by_majority(label_map, 6, 7)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (37, 51), (300, 200)])
def test_segmenter_covers_every_size(tiny_pipeline, size):
    label_map = segment_images(tiny_pipeline.segmenter, [Image.new("RGB", size)], short_side=64)[0]
    assert label_map.dtype == np.uint8
    assert label_map.shape == grid_size(*size, 1024, 1024)
