"""Rate control keeps the budget, uses it, and says what the smallest file takes."""

import os
import time
from functools import partial

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.analysis import rate_control
from sgc_diffusion.payload import DecoderRecipe
from sgc_diffusion.payload.grid import enlarge


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


@pytest.fixture(scope="module")
def noise():
    """Fine maps of full size without any structure."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 24, (125, 128), dtype=np.uint8), rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def layer_size_bytes(layer):
    return bitstream.layer_size_bytes(layer, bitstream.DecodedLayers(512, 384))


def choose(picture, max_bytes, count_bytes=bitstream.size_bytes, **options):
    return rate_control.choose_payload(
        *picture,
        taxonomy_name="landscape-24",
        size=(512, 384),
        max_bytes=max_bytes,
        count_bytes=count_bytes,
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


def test_a_map_that_a_grid_can_hold_is_coded_without_a_wrong_label(picture):
    coarse = np.random.default_rng(0).integers(0, 24, (40, 40), dtype=np.uint8)
    choice = choose((enlarge(coarse, 125, 125), picture[1]), 5000)
    assert choice.label_distortion == 0 and choice.payload.label_map.size <= 125 * 125


def test_more_bytes_never_give_worse_distortion(picture):
    smallest = choose_smallest(picture)
    choices = [
        choose(picture, max_bytes, count_layer_bytes=layer_size_bytes)
        for max_bytes in (smallest, smallest + 1, 40, 45, 50, 60, 61, 80, 200)
    ]
    distortions = [choice.distortion for choice in choices]
    assert distortions == sorted(distortions, reverse=True) and distortions[-1] < distortions[0]


@pytest.mark.parametrize("max_bytes", [45, 110])
def test_no_pair_of_options_is_better(picture, max_bytes):
    labels, colors = picture[0][::3, ::3], picture[1][::6, ::6]
    weights = np.ones(24)
    label_layers = [
        layer
        for ways in rate_control._label_layers(labels, "landscape-24", weights, ("landscape-8",))
        for layers in ways
        for layer in layers
    ]
    color_layers = [layer for ways in rate_control._color_layers(colors) for layer in ways[0]]
    choice = choose((labels, colors), max_bytes)
    rest = choice.size_bytes - layer_size_bytes(choice.payload.labels) - layer_size_bytes(choice.payload.color)
    label_sizes, color_sizes = (np.array(list(map(layer_size_bytes, each))) for each in (label_layers, color_layers))
    label_errors = [rate_control.label_distortion(labels, layer.label_map, weights) for layer in label_layers]
    color_errors = [rate_control.color_distortion(colors, layer.color_map) for layer in color_layers]
    fits = rest + label_sizes[:, None] + color_sizes <= max_bytes
    assert choice.distortion == np.where(fits, np.add.outer(label_errors, color_errors), np.inf).min()


def choose_smallest(picture):
    with pytest.raises(ValueError, match=r"takes \d+ bytes") as caught:
        choose(picture, 1)
    return int(str(caught.value).split("takes ")[1].split()[0])


@pytest.mark.parametrize("max_bytes", [40, 90, 400])
def test_layers_counted_alone_give_what_whole_files_give(picture, max_bytes):
    quick = choose(picture, max_bytes, count_layer_bytes=layer_size_bytes)
    assert quick == choose(picture, max_bytes)


def test_whole_files_are_counted_a_few_times_if_layers_can_be(picture):
    counted = []

    def count_bytes(payload):
        counted.append(payload)
        return bitstream.size_bytes(payload)

    choose(picture, 200, count_bytes, count_layer_bytes=layer_size_bytes)
    assert len(counted) <= 3


def test_counting_the_bytes_of_a_sealed_file_draws_no_nonce(picture, monkeypatch):
    drawn = []
    monkeypatch.setattr(os, "urandom", drawn.append)
    sealed, plain = choose(picture, 90, partial(bitstream.size_bytes, sealed=True)), choose(picture, 90)
    monkeypatch.undo()
    assert not drawn
    assert sealed.size_bytes == len(bitstream.encode(sealed.payload, key=bytes(32))) <= 90
    assert sealed.distortion > plain.distortion


def test_a_small_budget_counts_fewer_layers(noise):
    def count_layers(max_bytes):
        counted = []
        choose(noise, max_bytes, count_layer_bytes=lambda layer: counted.append(0) or layer_size_bytes(layer))
        return len(counted)

    assert count_layers(50) < 0.75 * count_layers(5000)


def test_noise_of_full_size_is_quick(noise):
    started = time.process_time()
    choice = choose(noise, 300, count_layer_bytes=layer_size_bytes)
    assert choice.size_bytes <= 300
    assert time.process_time() - started < 4  # under one second alone on a core; 10 s before


def test_importance_weighs_both_distortions():
    label_map = np.zeros((8, 8), np.uint8)
    label_map[:, 4:] = 1
    color_map = np.repeat(label_map[..., None] * 100, 3, axis=2).astype(np.uint8)
    left, right = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    zeros = np.zeros((1, 1), np.uint8)
    weights = np.ones(24)
    assert rate_control.label_distortion(label_map, zeros, weights) == 0.5
    assert [rate_control.label_distortion(label_map, zeros, weights, side) for side in (left, right)] == [0, 1]
    black = np.zeros((1, 1, 3), np.uint8)
    errors = [rate_control.color_distortion(color_map, black, side) for side in (left, right)]
    assert errors == [0, pytest.approx(100 / 128)]
