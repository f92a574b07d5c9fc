"""bfloat16 is for processors that are made for it, for weights that nobody chose a type for, and close to float32."""

import numpy as np
import pytest
import torch

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.synthesis import precision
from sgc_diffusion.synthesis.precision import drawing_precision


@pytest.mark.parametrize(
    ("device", "dtype", "is_fast", "wanted"),
    [
        ("cpu", torch.float32, True, True),
        ("cpu", torch.float32, False, False),
        ("cpu", torch.float64, True, False),
        ("cpu", torch.float16, True, False),
        ("meta", torch.float32, True, False),
    ],
)
def test_it_is_for_weights_in_float32_on_a_processor_that_has_it(device, dtype, is_fast, wanted, monkeypatch):
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: is_fast)
    with drawing_precision(torch.device(device), dtype):
        assert torch.is_autocast_enabled("cpu") == wanted
    assert not torch.is_autocast_enabled("cpu")


def test_a_torch_that_cannot_tell_has_none(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert not precision.has_fast_bfloat16()


def test_the_picture_is_that_of_float32_within_a_few_levels(landscape, monkeypatch):
    pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
    pipe.set_progress_bar_config(disable=True)
    data = pipe.compress(landscape(256, 256))
    plain = np.asarray(pipe.decompress(data, preset="fast").images[0], dtype=int)
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)  # slow elsewhere, and the same
    with drawing_precision(pipe.device, pipe.dtype):
        drawn = np.asarray(pipe.decompress(data, preset="fast").images[0], dtype=int)
    assert 0 < np.abs(drawn - plain).max() <= 6
