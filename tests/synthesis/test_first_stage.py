import pytest
import torch
from diffusers import AutoencoderKL

from sgc_diffusion.synthesis.first_stage import decode_latents, encode_image

SHIFT, SCALE = 0.1159, 0.3611  # FLUX.1's
MEAN, DEVIATION = [-1.6574, 1.886, -1.383, 2.5155], [8.4927, 5.9022, 6.5498, 5.2299]  # Playground 2.5's


def make_stage(**config):
    torch.manual_seed(0)
    return AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        **config,
    ).eval()


@torch.no_grad()
@pytest.mark.parametrize("tile_side", [None, 8])
@pytest.mark.parametrize(
    ("config", "shift", "scale"),
    [
        ({"scaling_factor": SCALE}, 0.0, SCALE),
        ({"scaling_factor": SCALE, "shift_factor": None}, 0.0, SCALE),
        ({"scaling_factor": SCALE, "shift_factor": SHIFT}, SHIFT, SCALE),
        (
            {"scaling_factor": 0.5, "latents_mean": MEAN, "latents_std": DEVIATION},
            torch.tensor(MEAN)[:, None, None],
            0.5 / torch.tensor(DEVIATION)[:, None, None],
        ),
    ],
)
def test_latents_are_shifted_and_scaled_as_the_first_stage_says(config, shift, scale, tile_side):
    plain, stage = make_stage(scaling_factor=1.0), make_stage(**config)
    images = torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1
    own = encode_image(plain, images, tile_side=tile_side)
    latents = encode_image(stage, images, tile_side=tile_side)
    assert torch.allclose(latents, (own - shift) * scale, atol=1e-5)
    assert torch.allclose(
        decode_latents(stage, latents, tile_side=tile_side), decode_latents(plain, own, tile_side=tile_side), atol=1e-4
    )


@torch.no_grad()
def test_pixels_that_are_not_finite_are_an_error_and_not_a_black_picture():
    stage = make_stage()
    with pytest.raises(ValueError, match=r"`vae` must decode to finite pixels, got .*float32; load"):
        decode_latents(stage, torch.full((1, 4, 8, 8), float("nan")))
