import dataclasses
from functools import partial

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.encoder import encode_pictures
from sgc_diffusion.analysis.settings import EncoderSettings
from sgc_diffusion.payload import DecoderRecipe
from sgc_diffusion.taxonomy import load_taxonomy

KEY = bytes(range(32))
BAD_NUMBERS = (0, -1, -1.0, float("inf"), float("-inf"), float("nan"), "0.004", True, False, [50])


def encode(pipe, images, settings, draw=None, **options):
    return encode_pictures(images, settings, pipe._segment, bitstream.size_bytes, draw, **options)


@pytest.mark.parametrize("max_bytes", [40, 75, 300])
def test_a_budget_is_kept_and_the_file_is_drawn(tiny_pipeline, landscape, max_bytes):
    data = tiny_pipeline.compress(landscape(96, 64), max_bytes=max_bytes)
    assert len(data) <= max_bytes
    assert tiny_pipeline.decompress(data, num_inference_steps=2).images[0].size == (96, 64)


def test_bits_per_pixel_are_a_budget_of_each_picture(tiny_pipeline, landscape):
    pictures = [landscape(96, 64), landscape(128, 128, seed=1)]
    files = tiny_pipeline.compress(pictures, target_bpp=0.08)
    assert all(len(data) <= 0.08 * one.width * one.height / 8 for data, one in zip(files, pictures, strict=True))
    assert tiny_pipeline.compress(pictures[0], max_bytes=int(0.08 * 96 * 64 / 8)) == files[0]


def test_sealed_files_fit_the_budget_too(tiny_pipeline, landscape):
    data = tiny_pipeline.compress(landscape(64, 64), max_bytes=90, key=KEY)
    assert len(data) <= 90
    assert tiny_pipeline.decompress(data, key=KEY, num_inference_steps=2).images[0].size == (64, 64)
    for key in (None, bytes(32)):
        with pytest.raises(bitstream.DecryptionError, match="`key`"):
            tiny_pipeline.decompress(data, key=key)


def test_a_key_changes_nothing_in_the_payload(tiny_pipeline, landscape):
    picture = landscape(64, 64)
    sealed, plain = tiny_pipeline.compress(picture, key=KEY), tiny_pipeline.compress(picture)
    assert bitstream.decode(sealed, key=KEY) == bitstream.decode(plain)


def test_a_heavy_class_is_kept_where_bytes_are_few(tiny_pipeline, landscape):
    picture = landscape(96, 96)
    names = load_taxonomy(tiny_pipeline.config.taxonomy).names
    found = tiny_pipeline.analyze(picture).label_map
    rare = int(np.bincount(found.ravel(), minlength=len(names))[np.unique(found)].argmin())
    rare = int(np.unique(found)[rare])
    counts = []
    for weight in (1.0, 50.0):
        data = tiny_pipeline.compress(picture, max_bytes=45, class_weights={names[rare]: weight})
        counts.append(float((bitstream.decode(data).label_map == rare).mean()))
    assert counts[1] > counts[0]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"max_bytes": 10}, r"`max_bytes` 10 is too few: the smallest file of this 64×64 picture takes \d+ bytes"),
        ({"max_bytes": 100, "target_bpp": 0.1}, "both given"),
        *[({"max_bytes": value}, "`max_bytes` must be an integer above 0") for value in BAD_NUMBERS],
        *[({"max_bytes": value}, "`max_bytes` must be an integer above 0") for value in (50.0, np.float64(50))],
        *[({"target_bpp": value}, "`target_bpp` must be above 0 and finite") for value in BAD_NUMBERS],
        ({"target_bpp": 1e-9}, "`max_bytes` 0 is too few"),
        ({"max_bytes": 99, "class_weights": {"unicorn": 2}}, "unicorn"),
        ({"max_bytes": 99, "class_weights": {3: 2}}, "name .*3"),
        *[({"max_bytes": 99, "class_weights": {"sky": value}}, "0 or more") for value in BAD_NUMBERS if value != 0],
        ({"class_weights": {"sky": 2}}, "only under a budget"),
        ({"key": b"short"}, "`key` must be 32 bytes"),
    ],
)
def test_bad_budgets_and_keys(tiny_pipeline, landscape, arguments, part):
    with pytest.raises(ValueError, match=part):
        tiny_pipeline.compress(landscape(64, 64), **arguments)


@pytest.mark.parametrize("integer", [np.int64, np.uint8])
def test_numbers_of_numpy_are_numbers(tiny_pipeline, landscape, integer):
    picture = landscape(32, 32)
    expected = tiny_pipeline.analyze(picture, max_bytes=64)
    assert tiny_pipeline.analyze(picture, max_bytes=integer(64)) == expected
    assert tiny_pipeline.analyze(picture, target_bpp=np.float32(0.5)) == expected
    best = tiny_pipeline.analyze(picture, num_candidates=integer(2))
    assert best == tiny_pipeline.analyze(picture, num_candidates=2)


def test_a_budget_beyond_all_bounds_takes_what_is_best(tiny_pipeline, landscape):
    assert tiny_pipeline.analyze(landscape(32, 32), target_bpp=1e300).label_map.size == 32 * 32


def test_compressing_is_encoding_what_was_analyzed_under_a_budget_too(tiny_pipeline, landscape):
    picture = landscape(32, 32)
    for options in ({}, {"target_bpp": 0.6, "num_candidates": 2, "class_weights": {"sky": 3}}):
        assert bitstream.encode(tiny_pipeline.analyze(picture, **options)) == tiny_pipeline.compress(picture, **options)
    sealed = tiny_pipeline.analyze(picture, max_bytes=90, sealed=True)
    assert bitstream.decode(tiny_pipeline.compress(picture, key=KEY, max_bytes=90), key=KEY) == sealed


def test_layers_may_be_counted_alone(tiny_pipeline, landscape):
    settings = EncoderSettings(DecoderRecipe(), "landscape-24", max_bytes=90)
    count = partial(bitstream.layer_size_bytes, before=bitstream.DecodedLayers(48, 48))
    pictures = [landscape(48, 48)]
    assert encode(tiny_pipeline, pictures, settings, count_layer_bytes=count) == encode(
        tiny_pipeline, pictures, settings
    )


def test_bad_settings_are_refused_before_any_picture_is_read(tiny_pipeline):
    with pytest.raises(ValueError, match="`max_bytes`"):
        tiny_pipeline.compress("nowhere.png", max_bytes=0)
    with pytest.raises(FileNotFoundError):
        tiny_pipeline.compress("nowhere.png", max_bytes=90)


def test_paths_are_pictures(tiny_pipeline, landscape, tmp_path):
    picture = landscape(64, 48)
    picture.save(tmp_path / "picture.png")
    for given in (tmp_path / "picture.png", str(tmp_path / "picture.png"), np.asarray(picture)):
        assert tiny_pipeline.analyze(given) == tiny_pipeline.analyze(picture)


def test_a_picture_without_pixels_is_refused(tiny_pipeline):
    with pytest.raises(ValueError, match="`image` must have at least one pixel, got 0×0"):
        tiny_pipeline.compress(Image.new("RGB", (0, 0)))


def test_a_large_picture_is_analyzed_reduced_and_keeps_its_size(tiny_pipeline, landscape):
    picture = landscape(300, 200).resize((3600, 2400))
    seen = []

    def segment(pictures, num_cells):
        seen.extend(each.size for each in pictures)
        return tiny_pipeline._segment(pictures, num_cells)

    settings = EncoderSettings(DecoderRecipe(), "landscape-24")
    (payload,) = encode_pictures([picture], settings, segment, bitstream.size_bytes, None)
    assert (payload.width, payload.height) == (3600, 2400) and seen == [(1800, 1200)]
    assert payload.label_map.shape == (26, 39) and payload.color_map.shape == (13, 20, 3)


def test_the_bytes_of_the_seed_count(tiny_pipeline, landscape):
    settings = EncoderSettings(DecoderRecipe(), "landscape-24", max_bytes=60, num_candidates=300)
    nearest = landscape(64, 64)

    def draw(payload):
        return nearest if payload.recipe.seed == 299 else Image.new("RGB", (64, 64))

    (payload,) = encode(tiny_pipeline, [nearest], settings, draw)
    assert payload.recipe.seed == 299 and len(bitstream.encode(payload)) <= 60
    assert len(bitstream.encode(dataclasses.replace(payload, recipe=DecoderRecipe()))) == (
        len(bitstream.encode(payload)) - 3
    )
