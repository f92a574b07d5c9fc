"""Outlines on grids: what a user draws is covered, what is wrong is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgc_diffusion.analysis import regions as outlining
from sgc_diffusion.analysis.regions import Outline, RegionsWarning, make_region, make_regions
from sgc_diffusion.payload.regions import MAX_REGIONS


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_a_user_draws_is_covered(data):
    height, width = data.draw(st.integers(1, 200)), data.draw(st.integers(1, 200))
    mask = np.random.default_rng(data.draw(st.integers(0, 99))).random((height, width)) < data.draw(
        st.sampled_from((0.001, 0.1, 1.0))
    )
    region = make_region(Outline(mask, is_exact=True))
    if region is None:
        assert not mask.any()
    else:
        assert region.fits(height, width) and region.pixels(height, width)[mask].all()


def test_boxes_are_exact_to_the_pixel():
    outline = outlining.outline_of_box((37, 11, 300, 5), 613, 401)
    assert np.array_equal(make_region(outline).pixels(401, 613), outline.mask) and outline.mask.sum() == 1500


def test_small_objects_have_finer_grids():
    y, x = np.mgrid[:256, :256]
    radii = (100, 40, 8)
    exponents = [make_region(Outline((y - 128) ** 2 + (x - 128) ** 2 < radius**2)).exponent for radius in radii]
    assert exponents == [5, 6, 8]
    region = make_region(Outline((y - 128) ** 2 + (x - 128) ** 2 < 30**2))
    wanted = (y - 128) ** 2 + (x - 128) ** 2 < 30**2
    found = region.pixels(256, 256)
    assert (found & wanted).sum() / (found | wanted).sum() > 0.8


def test_what_lies_beyond_the_picture_is_cut_off():
    assert outlining.outline_of_box((-5, -5, 10, 10), 40, 30).mask.sum() == 25
    assert outlining.outline_of_polygon([(0, 0), (10, 0), (0, 10)], 40, 30).mask.sum() > 50


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: outlining.outline_of_box((0, 0, 0, 5), 40, 30), "empty box"),
        (lambda: outlining.outline_of_box((40, 0, 5, 5), 40, 30), "outside of the 40×30 picture"),
        (lambda: outlining.outline_of_box((0, 0, 5), 40, 30), "x, y, width, height"),
        (lambda: outlining.outline_of_mask(np.ones((40, 30), bool), 40, 30), "give one of its size"),
        (lambda: outlining.outline_of_mask(Image.new("L", (40, 30)), 40, 30), "empty mask"),
        (lambda: outlining.outline_of_polygon([(0, 0), (1, 1)], 40, 30), "three or more corners"),
        (lambda: outlining.outline_of_polygon([(90, 90), (95, 90), (90, 95)], 40, 30), "outside"),
    ],
)
def test_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_of_a_thousand_regions_the_surest_are_kept():
    outlines = [Outline(np.eye(30, dtype=bool), score=number / 1000) for number in range(1000)]
    with pytest.warns(RegionsWarning, match="968 are left out"):
        layer = make_regions(outlines)
    assert len(layer.regions) == MAX_REGIONS and {region.score for region in layer.regions} == {15}


def test_components_of_classes_are_objects():
    label_map = np.zeros((16, 16), np.uint8)
    label_map[2:6, 2:6] = label_map[10:14, 9:15] = 3
    outlines = outlining.outlines_of_classes(label_map, [3, 5], 160, 80)
    assert [outline.mask.sum() for outline in outlines] == [16 * 50, 24 * 50]
    assert {outline.class_id for outline in outlines} == {3}
    assert len(outlining.outlines_of_importance(label_map, 1, 160, 80)) == 2
