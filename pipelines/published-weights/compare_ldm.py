"""Compare converted latent diffusion modules with the authors' own code, both holding the same random weights.

authors' LatentDiffusion ──random weights──▶ model.ckpt ──`sgc convert ldm`──▶ folder ──from_pretrained──▶ pipeline
         └───────────────────────────── the same inputs, max |Δ| of the outputs ──────────────────────────────┘

    git clone https://github.com/CompVis/latent-diffusion        # compared at commit a506df5
    git clone https://github.com/CompVis/taming-transformers     # the quantizer
    pip install omegaconf einops torchvision
    python pipelines/published-weights/compare_ldm.py semantic_synthesis512 --originals .

Nothing is fetched, and nothing of the authors' code is kept here. 512 takes some 10 minutes and 8 GB on one core.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.conversion.ldm import convert_checkpoint
from sgc_diffusion.conversion.ldm_config import PUBLISHED
from sgc_diffusion.synthesis.conditioning import label_planes
from sgc_diffusion.synthesis.latent_diffusion import build_scheduler, denoise, label_predictor

NUM_CLASSES = 182
TIMESTEPS = (1, 500, 999)
GUIDANCE_SCALE = 2.0
STRENGTH = 0.7


def build_original(folder: Path, name: str) -> Any:
    """Return the authors' LatentDiffusion of a published configuration, without weights of theirs.

    Args:
        folder: holds clones of both repositories.
        name: `semantic_synthesis256` or `semantic_synthesis512`.
    """
    sys.path[:0] = [str(folder / "latent-diffusion"), str(folder / "taming-transformers")]
    for missing in ("pytorch_lightning.utilities.distributed", "clip", "kornia"):  # imported, but not used here
        parts = missing.split(".")
        for length in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:length]), types.ModuleType(parts[length - 1]))
    sys.modules["pytorch_lightning"].LightningModule = nn.Module  # type: ignore[attr-defined]
    sys.modules["pytorch_lightning.utilities.distributed"].rank_zero_only = lambda f: f  # type: ignore[attr-defined]
    nn.Module.device = property(lambda self: next(self.parameters()).device)  # type: ignore[attr-defined]
    from omegaconf import OmegaConf

    config = OmegaConf.load(folder / "latent-diffusion/models/ldm" / name / "config.yaml")
    with contextlib.redirect_stdout(io.StringIO()):
        from ldm.util import instantiate_from_config

        return instantiate_from_config(config.model).eval()


@torch.no_grad()
def randomize(model: nn.Module, numbers: torch.Generator) -> None:
    """Draw every weight, the zero-initialized ones too, which would hide errors; averaged weights are others."""
    averaged = [(name, value) for name, value in model.named_buffers() if name.startswith("model_ema.") and value.ndim]
    for name, value in [*model.named_parameters(), *averaged]:
        noise = torch.randn(value.shape, generator=numbers)
        if name.endswith("quantize.embedding.weight"):  # spread like the latents that are looked up in it
            value.copy_(noise)
        else:
            value.copy_(noise / value[0].numel() ** 0.5 if value.ndim > 1 else value + 0.1 * noise)


@torch.no_grad()
def compare(original: Any, pipe: Any, latent_side: int, num_steps: int, numbers: torch.Generator) -> Iterator[tuple]:
    """Yield what was compared, max |Δ|, and the largest value of the original's output."""

    def difference(what: str, theirs: torch.Tensor, ours: torch.Tensor) -> tuple[str, float, float]:
        return what, float((theirs - ours).abs().max()), float(theirs.abs().max())

    image = torch.rand(1, 3, 4 * latent_side, 4 * latent_side, generator=numbers) * 2 - 1
    yield difference("encoder", original.encode_first_stage(image), pipe.vae.encode(image).latents)
    latents, noise = (torch.randn(1, 3, latent_side, latent_side, generator=numbers) for _ in range(2))
    codes = [stage.quantize(latents)[2][2].flatten() for stage in (original.first_stage_model, pipe.vae)]
    yield difference("nearest codes that differ", (codes[0] != codes[1]).sum()[None], torch.zeros(1))
    for plain in (False, True):  # where two codes are equally near up to rounding, each side may take another one
        theirs = original.first_stage_model.decode(latents, force_not_quantize=plain)
        ours = pipe.vae.decode(latents, force_not_quantize=plain).sample
        yield difference("decoder without quantization" if plain else "decoder", theirs, ours)

    label_map = np.random.default_rng(0).integers(0, NUM_CLASSES, (19, 23)).astype(np.uint8)
    full = label_planes(label_map, NUM_CLASSES, 4 * latent_side, 4 * latent_side)[None]
    planes = label_planes(label_map, NUM_CLASSES, latent_side, latent_side, samples_per_side=4)[None]
    condition, unlabeled = (original.get_learned_conditioning(planes) for planes in (full, torch.zeros_like(full)))
    with original.ema_scope():
        for timestep in TIMESTEPS:
            theirs = original.apply_model(noise, torch.tensor([timestep]), condition)
            ours = pipe.unet(torch.cat([noise, planes], dim=1), torch.tensor([timestep])).sample
            yield difference(f"noise at t = {timestep}", theirs, ours)

        scheduler = build_scheduler("ddim", pipe.scheduler)
        # The authors' grid for any number of steps; `select_timesteps` gives it from 100 steps on.
        num_run = round(num_steps * STRENGTH)
        scheduler.set_timesteps(timesteps=[1 + step * (1000 // num_steps) for step in reversed(range(num_run))])
        scheduler.set_begin_index(0)
        timesteps = scheduler.timesteps
        predict = label_predictor(pipe.unet, planes, NUM_CLASSES, GUIDANCE_SCALE)
        ours = denoise(predict, scheduler, latents, noise, timesteps, lambda _index, _timestep, latents: latents)
        theirs = scheduler.add_noise(latents, noise, timesteps[:1])
        theirs = sample_original(original, theirs, condition, unlabeled, num_steps, len(timesteps))
        yield difference(f"{len(timesteps)} of {num_steps} DDIM steps, guidance {GUIDANCE_SCALE:g}", theirs, ours)


def sample_original(
    original: Any, latents: torch.Tensor, condition: torch.Tensor, unlabeled: torch.Tensor, num_steps: int, num_run: int
) -> torch.Tensor:
    """Run the last `num_run` of the authors' DDIM steps on latents (B, C, h, w)."""
    from ldm.models.diffusion.ddim import DDIMSampler

    sampler = DDIMSampler(original)
    sampler.register_buffer = lambda name, value: setattr(sampler, name, value)  # theirs moves to CUDA
    sampler.make_schedule(num_steps, verbose=False)
    for index in reversed(range(num_run)):
        timestep = torch.tensor([int(sampler.ddim_timesteps[index])])
        guidance = {"unconditional_guidance_scale": GUIDANCE_SCALE, "unconditional_conditioning": unlabeled}
        latents, _ = sampler.p_sample_ddim(latents, condition, timestep, index=index, **guidance)
    return latents


def main() -> None:
    """Print one line of JSON for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PUBLISHED))
    parser.add_argument("--originals", type=Path, default=Path(), help="folder of both clones")
    parser.add_argument("--num-steps", type=int, default=4, help="of the DDIM schedule, of which 0.7 are run")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    numbers = torch.Generator().manual_seed(1)
    original = build_original(arguments.originals, arguments.name)
    randomize(original, numbers)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "model.ckpt")
        torch.save({"state_dict": original.state_dict(), "epoch": 1}, checkpoint)
        pipe = SemanticCompressionPipeline.from_pretrained(
            convert_checkpoint(checkpoint, Path(folder, "converted"), config=arguments.name)
        )
    latent_side = PUBLISHED[arguments.name].image_size
    for what, delta, largest in compare(original, pipe, latent_side, arguments.num_steps, numbers):
        print(json.dumps({"compared": what, "max_delta": delta, "largest": round(largest, 3)}), flush=True)


if __name__ == "__main__":
    main()
