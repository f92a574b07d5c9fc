"""What is around a region fades out, at no cost to the region, unless more is asked for."""

import numpy as np
from scipy import ndimage

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.detail import LOSSLESS, add_detail
from sgc_diffusion.analysis.region_margin import FADE_FROM, FADE_TO, fade_outside
from sgc_diffusion.analysis.regions import Outline, make_regions
from sgc_diffusion.analysis.steering import steering_of
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state, likeness
from sgc_diffusion.payload.smooth_base import smooth_base


def an_object(landscape):
    picture = np.asarray(landscape(120, 96, seed=4))
    mask = np.zeros((96, 120), bool)
    mask[30:60, 40:70] = True
    color = ColorLayer.from_color_map(picture[::12, ::12].copy(), 32)
    payload = SemanticPayload(120, 96, LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24"), color)
    return picture, payload.with_layers(make_regions([Outline(mask, is_exact=True)]))


def test_a_picture_fades_from_itself_to_its_base(landscape):
    picture, payload = an_object(landscape)
    inside = payload.layers[0].pixels(96, 120)
    faded = fade_outside(picture, payload.color_map, payload.layers[0])
    away, base = ndimage.distance_transform_edt(~inside), smooth_base(payload.color_map, 96, 120)
    assert np.array_equal(faded[away <= FADE_FROM], picture[away <= FADE_FROM])
    assert np.array_equal(faded[away >= FADE_TO], base[away >= FADE_TO])
    between = np.minimum(picture, base) <= faded
    assert between.all() and (faded <= np.maximum(picture, base)).all()
    assert not np.array_equal(faded, picture)


def test_regions_alone_are_exact_for_fewer_bytes(landscape):
    picture, payload = an_object(landscape)
    inside = payload.layers[0].pixels(96, 120)
    kept = add_detail(payload, picture, 2)
    assert np.array_equal(likeness(kept.layers[-1].state)[inside], picture[inside])
    state = exact_state(picture, payload.color_map, steering_of(payload))
    going_on = payload.with_layers(*(DetailLevel(FIRST_KIND + level, state) for level in range(3)))
    assert len(bitstream.encode(kept)) < 0.97 * len(bitstream.encode(going_on))


def test_what_is_asked_for_outside_is_that_of_the_picture(landscape):
    picture, payload = an_object(landscape)
    assert np.array_equal(likeness(add_detail(payload, picture, LOSSLESS).layers[-1].state), picture)
