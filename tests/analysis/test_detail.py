"""Detail from the encoder: nested levels, budgets kept and used, never worse with more bytes, lossless at 100."""

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.detail import (
    FIRST_TOLD_LEVEL,
    HANDOVER_BYTES,
    LEVEL_QUALITIES,
    add_detail,
    fit_detail,
    level_of_quality,
    squared_error,
    without_worse_levels,
)
from sgc_diffusion.analysis.image_input import load_picture
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import NUM_LEVELS, likeness


def payload_of(picture):
    reduced = np.asarray(Image.fromarray(picture).resize((8, 6), Image.Resampling.BOX))
    labels = LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24")
    return SemanticPayload(picture.shape[1], picture.shape[0], labels, ColorLayer.from_color_map(reduced, 32))


@pytest.mark.parametrize("seed", range(3))
def test_more_bytes_never_give_a_worse_likeness(landscape, seed):
    picture = np.asarray(landscape(96, 72, seed=seed))
    plain = payload_of(picture)
    errors = []
    for num_bytes in (0, 40, 80, 150, 250, 400, 700, 1000, 2000, 3000, 5000, 8000, 12000, 20000, 40000):
        payload = fit_detail(plain, picture, num_bytes, bitstream.last_layer_size_bytes)
        assert bitstream.size_bytes(payload) <= bitstream.size_bytes(plain) + num_bytes
        errors.append(squared_error(payload, picture))
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0 and len(set(errors)) > 8


def test_levels_that_say_nothing_are_left_out(landscape):
    flat = np.full((40, 50, 3), 77, np.uint8)
    assert [layer.level for layer in add_detail(payload_of(flat), flat, 15).layers][-1] == 15
    assert len(add_detail(payload_of(flat), flat, 15).layers) < 8
    picture = np.asarray(landscape(64, 64))
    assert [layer.level for layer in add_detail(payload_of(picture), picture, 9).layers][-3:] == [7, 8, 9]


def test_a_last_level_that_makes_the_picture_worse_is_not_taken(landscape):
    picture = np.asarray(landscape(64, 64))
    plain = payload_of(picture)
    nearer = likeness(add_detail(plain, picture, 3).layers[-1].state)  # what level 3 gives, as a picture of its own
    for level in (3, 4):
        payload = add_detail(plain, picture, level)  # level 4 only leads away from it
        assert without_worse_levels(payload, nearer).layers == add_detail(plain, picture, 3).layers
        assert without_worse_levels(payload, picture) == payload


def test_qualities_rise_to_lossless():
    levels = [level_of_quality(quality) for quality in range(101)]
    assert levels[0] is None and levels[99] == NUM_LEVELS - 2 and levels[100] == NUM_LEVELS - 1
    assert len(LEVEL_QUALITIES) == NUM_LEVELS and list(LEVEL_QUALITIES) == sorted(set(LEVEL_QUALITIES))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "I;16"])
def test_quality_100_is_lossless(tiny_pipeline, landscape, mode):
    picture = np.asarray(landscape(61, 43))
    if mode == "I;16":
        picture = (picture[..., 0].astype(np.uint16) * 257)[..., None].repeat(3, axis=2)
        source, expected = Image.fromarray(picture[..., 0]), (picture // 257).astype(np.uint8)
    else:
        source = Image.fromarray(picture).convert(mode)
        expected = np.asarray(source.convert("RGB"))
    payload = bitstream.decode(tiny_pipeline.compress(source, quality=100))
    assert np.array_equal(np.asarray(tiny_pipeline.likeness(payload)), expected)


def test_budgets_are_kept_and_used(tiny_pipeline, landscape):
    picture, errors = landscape(96, 64), []
    for max_bytes in (HANDOVER_BYTES, HANDOVER_BYTES + 300, 2000, 9000, 10**6):
        data = tiny_pipeline.compress(picture, max_bytes=max_bytes)
        assert len(data) <= max_bytes
        errors.append(squared_error(bitstream.decode(data), np.asarray(picture)))
    assert errors == sorted(errors, reverse=True) and errors[-1] == 0 < errors[2] < errors[1] < errors[0]
    sealed = tiny_pipeline.compress(picture, max_bytes=2000, key=bytes(32))
    assert 1000 < len(sealed) <= 2000
    assert tiny_pipeline.analyze(picture, max_bytes=HANDOVER_BYTES).layers == ()


def test_a_reduced_picture_is_read_whole_for_detail(tiny_pipeline, landscape, monkeypatch):
    picture = landscape(80, 60)
    monkeypatch.setattr(
        "sgc_diffusion.analysis.encoder.load_picture",
        lambda image, max_pixels=100, **wishes: load_picture(image, max_pixels, **wishes),
    )
    exact = tiny_pipeline.analyze(picture, quality=100)
    assert np.array_equal(np.asarray(tiny_pipeline.likeness(exact)), np.asarray(picture))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 101}, "`quality` must be a number from 0 to 100, got 101"),
        ({"quality": True}, "`quality`"),
        ({"quality": float("nan")}, "`quality`"),
        ({"quality": 50, "max_bytes": 999}, "both given"),
    ],
)
def test_qualities_that_are_none(tiny_pipeline, landscape, options, message):
    with pytest.raises(ValueError, match=message):
        tiny_pipeline.analyze(landscape(32, 32), **options)


def test_a_budget_is_used_up_by_a_part_of_a_level(landscape):
    picture = np.asarray(landscape(160, 120))
    plain = payload_of(picture)
    errors = []
    for num_bytes in (300, 700, 1500, 3100):
        payload = fit_detail(plain, picture, num_bytes, bitstream.last_layer_size_bytes)
        used = bitstream.size_bytes(payload) - bitstream.size_bytes(plain)
        assert 0.8 * num_bytes <= used <= num_bytes
        errors.append(squared_error(payload, picture))
        told = [layer.psnr_halves / 2 for layer in payload.layers if layer.level >= FIRST_TOLD_LEVEL]
        assert all(told) and (not told or abs(told[-1] - 10 * np.log10(255**2 / errors[-1])) <= 0.25)
    assert errors == sorted(errors, reverse=True) and told
