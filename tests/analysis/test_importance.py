"""Levels of blocks add up; sources combine."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.importance import block_levels, block_sums, make_importance
from sgc_diffusion.analysis.regions import RegionsWarning
from sgc_diffusion.analysis.steering import SteeringOptions, add_steering, pixel_importance
from sgc_diffusion.features.found_objects import FoundObject
from sgc_diffusion.payload import ColorLayer, ImportanceLayer, LabelLayer, RegionsLayer, SemanticPayload
from sgc_diffusion.payload.regions import UNNAMED

LABELS = np.zeros((8, 8), np.uint8)
LABELS[4:, 4:] = 3
PAYLOAD = SemanticPayload(
    96, 64, LabelLayer(LABELS, "landscape-24"), ColorLayer.from_color_map(np.full((4, 4, 3), 99, np.uint8), 32)
)
NAME = PAYLOAD.labels.taxonomy.names[3]
PICTURE = np.zeros((64, 96, 3), np.uint8)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 99), st.floats(0.1, 50))
def test_levels_add_up_to_the_mean_times_the_blocks(height, width, seed, mean):
    importance = np.random.default_rng(seed).gamma(0.2, size=(height, width)) * (seed % 7 > 0)
    levels = block_levels(importance, mean)
    assert levels.shape == (-(-height // 8), -(-width // 8)) and (levels >= 0).all()
    assert levels.sum() == pytest.approx(mean * levels.size)
    assert block_sums(importance).sum() == pytest.approx(importance.sum())


def test_levels_are_in_proportion_to_importance():
    importance = np.zeros((16, 16))
    importance[:8, :8], importance[8:, 8:] = 3, 1
    assert block_levels(importance).tolist() == [[3, 0], [0, 1]]
    assert make_importance(importance).levels.tolist() == [[3, 0], [0, 1]]


@pytest.mark.parametrize("bad", [np.full((8, 8), -1.0), np.full((8, 8), np.nan), np.ones(8)])
def test_bad_importance_is_rejected(bad):
    with pytest.raises(ValueError, match="`importance`"):
        block_levels(bad)


def test_a_smooth_map_costs_at_most_forty_bytes():
    y, x = np.mgrid[:512, :512] / 512
    for seed in range(6):
        generator = np.random.default_rng(seed)
        peaks = [(generator.random(2), 0.1 + 0.2 * generator.random()) for _ in range(3)]
        heat = sum(np.exp(-((y - place[0]) ** 2 + (x - place[1]) ** 2) / size**2) for place, size in peaks)
        payload = replace(PAYLOAD, width=512, height=512)
        layered = payload.with_layers(make_importance(heat))
        assert len(bitstream.encode(layered)) - len(bitstream.encode(payload)) <= 40


def test_sources_combine():
    heat = np.ones((64, 96))
    heat[:, :48] = 3
    mask = np.zeros((64, 96))
    mask[32:] = 255
    options = SteeringOptions(maps=[lambda _: heat], weights={NAME: 4}, importance_mask=mask)
    total = pixel_importance(PAYLOAD, PICTURE, options)
    map_part, weight, mask_part = np.array([1.5, 0.5]) + 0.1, 4, np.array([0.1, 1.1])
    assert total[0, 0] == pytest.approx(map_part[0] * mask_part[0])
    assert total[63, 95] == pytest.approx(map_part[1] * weight * mask_part[1])
    layers = add_steering(PAYLOAD, PICTURE, options).layers
    assert [type(layer) for layer in layers] == [ImportanceLayer]


def test_regions_of_all_sources():
    options = SteeringOptions(
        boxes=[(0, 0, 9, 9)],
        classes=[NAME],
        weights={NAME: 9},
        important_from=2,
        polygons=[[(50, 50), (60, 50), (50, 60)]],
    )
    regions = add_steering(PAYLOAD, PICTURE, options).layer(RegionsLayer).regions
    assert sorted(region.class_id for region in regions) == [3, UNNAMED, UNNAMED, UNNAMED]


def test_objects_of_models():
    mask = np.zeros((64, 96), bool)
    mask[10:30, 10:40] = True
    found = [FoundObject(mask, NAME, 0.9), FoundObject(mask, "zebra", 0.6), FoundObject(mask, "face", 1.0)]
    layer = add_steering(PAYLOAD, PICTURE, SteeringOptions(finders=[lambda _: found])).layer(RegionsLayer)
    assert [(region.class_id, region.score) for region in layer.regions] == [(253, 15), (3, 14), (UNNAMED, 9)]
    layer = add_steering(PAYLOAD, PICTURE, SteeringOptions(finders=[lambda _: found], classes=["zebra"]))
    assert len(layer.layer(RegionsLayer).regions) == 1


def test_a_model_that_finds_nothing_leaves_no_regions():
    with pytest.warns(RegionsWarning, match="Nothing was found"):
        payload = add_steering(PAYLOAD, PICTURE, SteeringOptions(finders=[lambda _: []]))
    assert payload == PAYLOAD


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SteeringOptions(weights={NAME: -1}), "`weights`"),
        (lambda: SteeringOptions(strength=4), "`strength`"),
        (lambda: SteeringOptions(important_from=2), "`important_from` needs"),
        (lambda: SteeringOptions(weights={"zebra": 2}).check("landscape-24"), "`weights` name .*zebra.*has not"),
        (lambda: SteeringOptions(classes=["zebra"]).check("landscape-24"), "`classes` name .*zebra"),
        (
            lambda: add_steering(PAYLOAD, PICTURE, SteeringOptions(importance_mask=np.ones((9, 9)))),
            "`importance_mask` has shape",
        ),
    ],
)
def test_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()
