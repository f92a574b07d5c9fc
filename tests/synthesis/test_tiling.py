from itertools import pairwise

import numpy as np
import pytest
import torch

from sgc_diffusion.synthesis.first_stage import decode_latents, encode_image
from sgc_diffusion.synthesis.tiling import OVERLAP, blend_tiles, seam_energy, tile_windows


@pytest.mark.parametrize("size", [(8, 8), (8, 30), (17, 8), (64, 40), (5, 3)])
def test_tiles_cover_everything_and_overlap(size):
    windows = tile_windows(*size, 8, OVERLAP)
    covered = np.zeros(size, int)
    for rows, columns in windows:
        assert rows.start >= 0 and rows.stop <= size[0] and columns.stop <= size[1]
        covered[rows, columns] += 1
    assert covered.min() >= 1
    assert (len(windows) == 1) == (max(size) <= 8)
    starts = sorted({rows.start for rows, _ in windows})
    assert all(after - before <= 4 for before, after in pairwise(starts))


def test_blending_what_does_not_depend_on_the_tile_changes_nothing():
    image = torch.randn(2, 3, 20, 33, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(blend_tiles(lambda window: image[..., *window], 20, 33, 8, 0.5), image, atol=1e-5)
    larger = image.repeat_interleave(4, -1).repeat_interleave(4, -2)

    def enlarge(window):
        return image[..., *window].repeat_interleave(4, -1).repeat_interleave(4, -2)

    assert torch.allclose(blend_tiles(enlarge, 20, 33, 8, 0.25, 4), larger, atol=1e-5)


def test_tiles_that_disagree_leave_no_seam_when_blended():
    """Each tile is off by its own constant: the worst that a network without overlap would show."""
    image = 0.1 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    numbers = torch.Generator().manual_seed(1)

    def compute(window):
        return image[..., *window] + torch.randn((), generator=numbers)

    hard = blend_tiles(compute, 64, 64, 16, 0.0)
    soft = blend_tiles(compute, 64, 64, 16, OVERLAP)
    seams = [16, 32, 48]
    assert min(seam_energy(hard, seams, dim) for dim in (-1, -2)) > 5
    starts = sorted({columns.start for _, columns in tile_windows(64, 64, 16, OVERLAP)} - {0})
    assert max(seam_energy(soft, starts, dim) for dim in (-1, -2)) < 1.3


@torch.no_grad()
def test_a_first_stage_in_tiles_agrees_with_the_whole(tiny_pipeline):
    vae = tiny_pipeline.vae
    latents = torch.randn(1, 4, 24, 32, generator=torch.Generator().manual_seed(0))
    whole, tiled = decode_latents(vae, latents), decode_latents(vae, latents, tile_side=16)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().mean() < 0.3 * whole.std()
    assert max(seam_energy(tiled, [64, 128], -1), seam_energy(tiled, [64], -2)) < 1.5
    again, again_tiled = encode_image(vae, whole), encode_image(vae, whole, tile_side=16)
    assert again_tiled.shape == again.shape == latents.shape


def test_a_picture_drawn_in_tiles_has_no_seam(tiny_pipeline, landscape):
    payload = tiny_pipeline.analyze(landscape(192, 192))
    whole = tiny_pipeline(payload, output_type="pt", num_inference_steps=6).images[0]
    tiny_pipeline.enable_tiling()
    tiled = tiny_pipeline(payload, output_type="pt", num_inference_steps=6).images[0]
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)
    starts = sorted({columns.start for _, columns in tile_windows(24, 24, 8, OVERLAP)} - {0})
    seams = [8 * start for start in starts]
    assert max(seam_energy(tiled, seams, -1), seam_energy(tiled, seams, -2)) < 1.5
    tiny_pipeline.disable_tiling()
    assert torch.equal(tiny_pipeline(payload, output_type="pt", num_inference_steps=6).images[0], whole)
    with pytest.raises(ValueError, match="`tile_side` must be a multiple of 16"):
        tiny_pipeline.enable_tiling(40)
