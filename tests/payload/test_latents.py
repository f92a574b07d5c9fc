"""The latent layer checks what it holds."""

import numpy as np
import pytest

from sgc_diffusion.payload import LatentLevel, latents
from sgc_diffusion.payload import latent_contexts as contexts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": 7}, "`kind`"),
        ({"gamma_index": 49}, "`gamma_index`"),
        ({"reduction": 4}, "`reduction`"),
        ({"network": 1}, "`network`"),
        ({"symbols": np.zeros((8, 2, 2), np.int32)}, "int16"),
        ({"symbols": np.zeros((12, 2, 2), np.int16)}, r"shape \(8, h, w\) at level 0"),
        ({"symbols": np.zeros((8, 0, 2), np.int16)}, r"shape \(8, h, w\)"),
        ({"symbols": np.full((8, 2, 2), 4096, np.int16)}, "-4095 to 4095"),
        ({"symbols": np.full((8, 2, 2), -32768, np.int16)}, "-4095 to 4095"),
    ],
)
def test_what_is_no_level_is_rejected(changes, message):
    fields = {"kind": 3, "symbols": np.zeros((8, 2, 2), np.int16), "gamma_index": 4} | changes
    with pytest.raises(ValueError, match=message):
        LatentLevel(**fields)


def test_a_level_knows_what_it_is():
    level = LatentLevel(np.int64(5), np.ones((12, 1, 1), np.int16), gamma_index=12)
    assert (level.level, level.stride, level.gamma_log2, type(level.kind)) == (2, 16, 2.0, int)
    assert level == LatentLevel(5, np.ones((12, 1, 1), np.int16), 12) != LatentLevel(5, level.symbols, 13)
    with pytest.raises(ValueError, match="read-only"):
        level.symbols[0] = 3


def test_sizes_round_up():
    assert latents.reduced_size(101, 64, 1) == (51, 32)
    assert [latents.level_size(101, 64, 1, level) for level in range(4)] == [(1, 1), (2, 1), (4, 2), (7, 4)]


def test_labels_of_every_set_have_a_place():
    assert contexts.reference_labels(np.array([[1]], np.uint8), "landscape-24")[0, 0] == 1  # sky
    assert contexts.reference_labels(np.array([[1]], np.uint8), "landscape-8")[0, 0] == contexts.NUM_LABELS - 1
