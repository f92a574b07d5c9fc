"""A denoiser that is shown the likeness: what every byte of a file says reaches it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel

from sgc_diffusion.bitstream import encode
from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.payload.smooth_base import smooth_base
from sgc_diffusion.synthesis.conditioning import fidelity_planes, likeness_picture, payload_fidelity
from sgc_diffusion.synthesis.first_stage import encode_image

NUM_CLASSES, NUM_LATENTS = 24, 4


@pytest.fixture()
def pipeline(tiny_pipeline):
    torch.manual_seed(1)
    config = dict(tiny_pipeline.unet.config) | {"in_channels": NUM_LATENTS + NUM_CLASSES + NUM_LATENTS + 2}
    unet = UNet2DModel.from_config(config).eval()
    parts = tiny_pipeline.components | {"unet": unet}
    made = LatentDiffusionCompressionPipeline(**parts, segmenter_short_side=64, likeness_strengths=[1.0] * 16)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture()
def payloads(pipeline, landscape):
    """Payloads of one picture without detail and with more and more of it."""
    most = pipeline.analyze(landscape(64, 64), quality=60)
    counts = (0, 2, len(most.layers))
    return [replace(most, layers=most.layers[:count]) for count in counts]


def test_planes_hold_the_likeness_and_how_good_it_is(pipeline, payloads):
    seen = []
    pipeline.unet.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    for payload in payloads:
        pipeline.decompress(encode(payload), decoder="diffusion", num_inference_steps=2, strength=1.0)
        labels, latents, fidelity = seen[-1][-1:].split([NUM_LATENTS + NUM_CLASSES, NUM_LATENTS, 2], dim=1)
        assert (labels[:, NUM_LATENTS:].sum(dim=1) == 1).all()
        with torch.no_grad():
            expected = encode_image(pipeline.vae, likeness_picture(payload, 64, 64)[None])
        assert torch.allclose(latents, expected, atol=1e-5)
        assert torch.allclose(fidelity[0], fidelity_planes(*payload_fidelity(payload, 64), 8, 8))
    assert len({tuple(batch[-1, -2:, 0, 0].tolist()) for batch in seen}) == len(payloads)


def test_likeness_of_colors_alone_is_the_smooth_base(payloads):
    base = smooth_base(payloads[0].color_map, 48, 40)
    assert np.array_equal(((likeness_picture(payloads[0], 48, 40) + 1) * 127.5).round().byte().permute(1, 2, 0), base)


def test_fidelity_is_one_for_the_widest_cells_and_for_all_levels():
    assert fidelity_planes(64, 1.0, 2, 3).unique().tolist() == [1.0]
    assert fidelity_planes(8, 0.25, 2, 3)[:, 1, 1].tolist() == [0.5, 0.25]


def test_denoiser_of_other_planes_is_refused(pipeline):
    config = dict(pipeline.unet.config) | {"in_channels": NUM_LATENTS + NUM_CLASSES + 3}
    pipeline.register_modules(unet=UNet2DModel.from_config(config))
    with pytest.raises(
        ValueError, match=r"`unet` takes 27 condition planes.*24, 28 with colors, or 30 with the likeness"
    ):
        pipeline.check_components()
