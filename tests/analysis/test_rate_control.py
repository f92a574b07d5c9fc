"""Rate control keeps the budget, uses it, and says what the smallest file takes."""

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.analysis import rate_control
from sgc_diffusion.payload import DecoderRecipe


@pytest.fixture(scope="module")
def picture():
    """Fine maps of a landscape: sky, a jagged ridge, a meadow with a few trees."""
    rows, columns = np.mgrid[:48, :64]
    ridge = 20 + (columns * 7919 % 7) + 5 * np.sin(columns / 5)
    labels = np.where(rows < ridge, 1, 2).astype(np.uint8)
    labels[35:] = 8
    labels[30:40, 15:18], labels[37, 50] = 4, 12
    palette = np.array([[0, 0, 0], [120, 170, 240], [110, 100, 90], [0, 0, 0], [30, 80, 30]] + [[90, 150, 60]] * 20)
    colors = palette[labels] + rows[..., None] - 24
    return labels, colors.clip(0, 255).astype(np.uint8)


def choose(picture, max_bytes, **options):
    return rate_control.choose_payload(
        *picture,
        taxonomy_name="landscape-24",
        size=(512, 384),
        max_bytes=max_bytes,
        count_bytes=lambda payload: len(bitstream.encode(payload)),
        merged=("landscape-8",),
        **options,
    )


def test_budgets_are_kept_and_more_bytes_mean_less_distortion(picture):
    choices = [choose(picture, max_bytes) for max_bytes in (40, 120, 600)]
    for choice, max_bytes in zip(choices, (40, 120, 600), strict=True):
        assert choice.size_bytes == len(bitstream.encode(choice.payload)) <= max_bytes
        assert choice.distortion == pytest.approx(choice.label_distortion + choice.color_distortion)
    distortions = [choice.distortion for choice in choices]
    assert distortions == sorted(distortions, reverse=True)
    assert distortions[-1] < 0.6 * distortions[0]


def test_a_budget_that_cannot_be_met_names_the_smallest_that_can(picture):
    with pytest.raises(ValueError, match=r"`max_bytes` 12 is too few: the smallest .* takes \d+ bytes") as caught:
        choose(picture, 12)
    smallest = int(str(caught.value).split("takes ")[1].split()[0])
    assert choose(picture, smallest).size_bytes == smallest


def test_the_recipe_is_kept(picture):
    recipe = DecoderRecipe(seed=5)
    assert choose(picture, 60, recipe=recipe).payload.recipe == recipe


def test_a_heavy_class_survives_where_the_majority_would_not_show_it():
    label_map = np.ones((8, 8), np.uint8)
    label_map[0, 0] = 12
    weights = np.ones(24)
    assert rate_control.reduce_by_votes(label_map, 2, 2, weights).tolist() == [[1, 1], [1, 1]]
    weights[12] = 20
    assert rate_control.reduce_by_votes(label_map, 2, 2, weights).tolist() == [[12, 1], [1, 1]]


def test_islands_take_the_label_around_them():
    label_map = np.full((5, 5), 3, np.uint8)
    label_map[2, 2], label_map[0, 3:] = 7, 9
    assert (rate_control.drop_islands(label_map, 2) == 3).sum() == 23
    assert (rate_control.drop_islands(label_map, 3) == 3).all()
    assert np.array_equal(rate_control.drop_islands(label_map, 1), label_map)


def test_merged_classes_take_the_id_of_the_most_frequent():
    label_map = np.array([[4, 4, 8], [1, 1, 4]], np.uint8)  # tree and grass are vegetation
    assert rate_control.merge_classes(label_map, "landscape-24", "landscape-8").tolist() == [[4, 4, 4], [1, 1, 4]]
