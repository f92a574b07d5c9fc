"""What is kept is real to the bit, what is drawn stays drawn, and the border between them is not seen."""

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.payload import (
    ColorLayer,
    DetailLevel,
    ImportanceLayer,
    LabelLayer,
    Region,
    RegionsLayer,
    SemanticPayload,
    Steering,
)
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state
from sgc_diffusion.synthesis.decoders import choose_decoder
from sgc_diffusion.synthesis.detail import fill_detail
from sgc_diffusion.synthesis.invented import describe_kept, invented_pixels, known_levels, show_invented
from sgc_diffusion.synthesis.provenance import GeneratedImage, mark_generated

SIDE = 128


def picture(seed, coarse=16):
    generator = np.random.default_rng(seed)
    grid = Image.fromarray(generator.integers(40, 216, (coarse, coarse, 3), np.uint8))
    smooth = np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(float)
    return np.clip(smooth + generator.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


ORIGINAL = picture(0)
COLOR = ColorLayer.from_color_map(np.asarray(Image.fromarray(ORIGINAL).resize((16, 16), Image.Resampling.BOX)), 30)
PLAIN = SemanticPayload(SIDE, SIDE, LabelLayer(np.zeros((4, 4), np.uint8), "landscape-24"), COLOR)
REGIONS = RegionsLayer((Region(5, 10, 8, np.ones((12, 14), bool)),))
INSIDE = REGIONS.pixels(SIDE, SIDE)


def with_regions(*levels, inner=(6, 8, 15)):
    regions = RegionsLayer(REGIONS.regions, inner)
    state = exact_state(ORIGINAL, COLOR.color_map, Steering(SIDE, SIDE, regions=regions))
    return PLAIN.with_layers(regions, *(DetailLevel(FIRST_KIND + level, state) for level in levels))


def drawn():
    """What a generator might draw: the same colors from afar, other details."""
    smooth = Image.fromarray(ORIGINAL).resize((16, 16), Image.Resampling.BOX).resize((SIDE, SIDE), 3)
    noise = np.random.default_rng(1).normal(0, 4, (SIDE, SIDE, 3))
    return np.clip(np.asarray(smooth).astype(float) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("detail_fill", [0.5, 1.0])
def test_inside_is_exact_and_outside_is_drawn(detail_fill):
    result = fill_detail(drawn(), with_regions(0, 1, 2), detail_fill)
    assert np.array_equal(result[INSIDE], ORIGINAL[INSIDE])
    far = np.ones((SIDE, SIDE), bool)
    far[40 - 24 : 88 + 24, 32 - 24 : 88 + 24] = False
    assert np.abs(result[far].astype(int) - drawn()[far]).mean() < 6  # colors from afar, no details
    assert np.abs(result[far].astype(int) - ORIGINAL[far]).mean() > 8


def test_the_border_is_no_seam():
    darker = np.maximum(drawn(), 12) - 12
    energies = []
    for shown in (fill_detail(darker, with_regions(0, 1, 2), 0.5), np.where(INSIDE[..., None], ORIGINAL, darker)):
        across = np.diff(shown.mean(axis=2), axis=1) ** 2
        elsewhere = across[:, np.r_[4:24, 40:80, 96:124]].mean()
        energies.append((across[40:88, [31, 87]].mean(), elsewhere))
    (blended, elsewhere), (pasted, _) = energies
    assert blended < 1.6 * elsewhere and blended < 0.5 * pasted


def test_what_is_known_is_told_for_each_pixel():
    assert (known_levels(PLAIN) == -1).all() and invented_pixels(PLAIN).all()
    levels = known_levels(with_regions(0, 1))
    assert (levels[INSIDE] == 8).all() and (levels[~INSIDE] == -1).all()
    assert np.array_equal(invented_pixels(with_regions(0, 1, 2)), ~INSIDE)
    assert not invented_pixels(with_regions(0, 15)).any()
    importance = ImportanceLayer(np.array([[0, 3]]), strength=1)
    state = exact_state(ORIGINAL, COLOR.color_map, Steering(SIDE, SIDE, importance))
    payload = PLAIN.with_layers(importance, DetailLevel(FIRST_KIND + 9, state))
    assert known_levels(payload)[5, [5, 120]].tolist() == [8, 11] and payload.layers[-1].outer_level == 9


def test_files_of_regions_alone_are_drawn():
    assert choose_decoder(with_regions(0, 1, 2), None, 1.0, "diffusion") == "diffusion"
    assert choose_decoder(with_regions(0, 1, 2, 12), None, 1.0, "diffusion") == "likeness"
    assert with_regions(2).layers[-1].outer_level == -1 and with_regions(3).layers[-1].outer_level == 0


def test_the_overlay_leaves_what_is_kept():
    image = mark_generated(Image.fromarray(ORIGINAL), 300, "landscape-256", describe_kept(with_regions(0, 1, 2)))
    shown = show_invented(image, with_regions(0, 1, 2))
    assert isinstance(shown, GeneratedImage) and "x,y,width,height) 32,40,56,48;" in shown.info["Description"]
    pixels = np.asarray(shown)
    assert np.array_equal(pixels[INSIDE], ORIGINAL[INSIDE])
    assert (np.abs(pixels[~INSIDE].astype(int) - ORIGINAL[~INSIDE]).max(axis=1) > 20).mean() > 0.99
    assert show_invented(image.convert("RGBA"), with_regions(0, 1, 2)).mode == "RGBA"
    with pytest.raises(ValueError, match="`image` must be 128×128"):
        show_invented(Image.new("RGB", (5, 5)), PLAIN)


def test_words_say_how_well_regions_are_kept():
    assert describe_kept(PLAIN) == "" == describe_kept(PLAIN.with_layers(REGIONS))
    for payload, word in ((with_regions(2), " exactly"), (with_regions(2, inner=(5, 8, 12)), "nearly exactly")):
        assert word in describe_kept(payload)
    assert "approximately" in describe_kept(with_regions(0))
