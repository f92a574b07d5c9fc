"""Editing payloads without their pictures."""

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.alpha import exact_alpha
from sgc_diffusion.analysis.detail import add_detail
from sgc_diffusion.analysis.editing import crop, rename_classes
from sgc_diffusion.payload import AlphaLayer, ColorLayer, LabelLayer, SemanticPayload
from sgc_diffusion.synthesis.likeness import likeness


def make(width=64, height=48):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    label_map = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((4, 4), np.uint8))
    color = ColorLayer.from_color_map(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), 20)
    return SemanticPayload(width, height, LabelLayer(label_map, "landscape-24"), color), picture


def test_classes_change_places_and_nothing_else_does():
    payload, picture = make()
    payload = add_detail(payload, picture, 15)
    names = payload.labels.taxonomy.names
    changed = rename_classes(payload, {names[1]: names[2], names[2]: names[1], names[5]: "field"})
    expected = payload.label_map.copy()
    expected[payload.label_map == 1], expected[payload.label_map == 2] = 2, 1
    expected[payload.label_map == 5] = names.index("field")
    assert (changed.label_map == expected).all()
    assert changed.color == payload.color and changed.layers == payload.layers
    assert bitstream.decode(bitstream.encode(changed), strict=True) == changed
    with pytest.raises(ValueError, match=r"`renamed` has nonsense, which landscape-24 has not"):
        rename_classes(payload, {"sea": "nonsense"})


def test_an_aligned_box_takes_its_cells():
    payload, _ = make()
    part = crop(payload, 16, 16, 32, 32)
    assert (part.width, part.height) == (32, 32)
    assert (part.label_map == payload.label_map[4:12, 4:12]).all()
    expected = ColorLayer.from_color_map(payload.color_map[4:12, 4:12].copy(), 20)
    assert part.color == expected


def test_the_whole_box_changes_no_label_and_a_pixel_can_be_cut_out():
    payload, _ = make()
    assert crop(payload, 0, 0, 64, 48).labels == payload.labels
    assert crop(payload, 63, 47, 1, 1).label_map.tolist() == [[11]]
    with pytest.raises(ValueError, match="within 64×48"):
        crop(payload, 40, 0, 25, 48)


def test_exact_detail_and_alpha_stay_exact():
    payload, picture = make()
    alpha = np.random.default_rng(1).integers(0, 256, (48, 64), dtype=np.uint8)
    detailed = add_detail(payload, picture, 15)
    whole = SemanticPayload(64, 48, payload.labels, payload.color, layers=(exact_alpha(alpha), *detailed.layers))
    part = bitstream.decode(bitstream.encode(crop(whole, 5, 7, 30, 21)), strict=True)
    assert (likeness(part) == picture[7:28, 5:35]).all()
    assert (part.layer(AlphaLayer).alpha(21, 30) == alpha[7:28, 5:35]).all()
