"""Train what draws in one to four leaps: a way up of its own for the denoiser of `general-256`.

    photographs' latents, noised ─┐
    labels, likeness ─────────────┴──▶ the denoiser's way down ──▶ FewStepHead ──leap──▶ latents ──▶ regression
                                                                       decoder ──▶ crops ──▶ features, critic

It learns from photographs, not from what the denoiser draws: the features say what must be there, and a critic that
knows the labels says how it should look. Its gradient is a share of the others', whatever its scale.

    python pipelines/general-256/train_few_step.py --features vgg19.safetensors [--max-minutes 60]

Resumable: the same command goes on.
"""

import argparse
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC, UNet2DModel
from diffusers.training_utils import EMAModel
from likeness_cache import FACTOR, LikenessCache
from torch import nn
from train_denoiser import build_denoiser, build_scheduler, random_window

from sgc_diffusion.synthesis import latent_diffusion
from sgc_diffusion.synthesis.few_step import FewStepHead, few_step_predictor
from sgc_diffusion.synthesis.latent_diffusion import FEW_STEPS
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import shuffled_batches, stack_photos
from sgc_diffusion.training.loops import TrainingRun, averaged, load_averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.picture_critics import PictureCritics

RECIPE = Path(__file__).with_name("recipe.toml")
TIMESTEPS = torch.tensor([1000 * (index + 1) // FEW_STEPS - 1 for index in reversed(range(FEW_STEPS))])


@dataclass
class Batch:
    """Photographs' windows.

    Attributes:
        latents: (B, C, s, s) float32.
        condition: (B, P, s, s) float32.
        corners: (N, 2) of the crops that are decoded, in latents of their windows; the first N pictures have one.
        crops: (N, 3, c, c) float32 in [−1, 1].
    """

    latents: torch.Tensor
    condition: torch.Tensor
    corners: list[tuple[int, int]]
    crops: torch.Tensor

    @classmethod
    def load(cls, cache: LikenessCache, indices: np.ndarray, recipe: dict, rng: np.random.Generator) -> "Batch":
        """Return random windows, and crops of some of them."""
        latents, conditions, corners, crops = [], [], [], []
        for number, index in enumerate(indices):
            (top, left), z, condition = random_window(cache, index, recipe, rng)
            latents.append(z)
            conditions.append(condition)
            if number < recipe["num_decoded"]:
                side = recipe["decoded_side"]
                row, column = rng.integers(0, recipe["latent_side"] - side + 1, 2).tolist()
                y, x, extent = FACTOR * (top + row), FACTOR * (left + column), FACTOR * side
                corners.append((row, column))
                crops.append(cache.photo(index)[y : y + extent, x : x + extent])
        return cls(torch.stack(latents), torch.stack(conditions), corners, stack_photos(crops))

    def windows(self, planes: torch.Tensor, side: int) -> torch.Tensor:
        """Return the crops' part (N, C, side, side) of planes (B, C, s, s)."""
        parts = [planes[index, :, y : y + side, x : x + side] for index, (y, x) in enumerate(self.corners)]
        return torch.stack(parts)


def leap(noisy: torch.Tensor, velocity: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Return the clean latents that a velocity means; `alpha` (B, 1, 1, 1) is ᾱ of the timesteps."""
    return alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity


@torch.no_grad()
def validate(
    unet: UNet2DModel, head: nn.Module, vae: AutoencoderDC, cache: LikenessCache, recipe: dict, path: Path
) -> float:
    """Return the mean squared error of one leap from T; write photographs, likenesses, one, two and twenty steps."""
    num_classes = load_taxonomy(recipe["taxonomy"]).num_classes
    order = np.random.default_rng(1).permutation(len(cache))[:12]
    _, latents, conditions = zip(*(random_window(cache, index, recipe, None) for index in order), strict=True)
    device = next(unet.parameters()).device
    z, condition = torch.stack(latents).to(device), torch.stack(conditions).to(device)
    start = condition[:, num_classes : num_classes + z.shape[1]]
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(device)
    rows = [z, start]
    guided = latent_diffusion.label_predictor(unet, condition, num_classes, 2.0)
    student = few_step_predictor(unet, head, condition)  # pyright: ignore[reportArgumentType]
    for predict, name, steps in ((student, "lcm", 1), (student, "lcm", 2), (guided, "dpm-solver++", 20)):
        sampler = latent_diffusion.build_scheduler(name, build_scheduler())
        timesteps = latent_diffusion.select_timesteps(sampler, steps, 1.0, device)
        rows.append(latent_diffusion.denoise(predict, sampler, start, noise, timesteps, lambda index, t, drawn: drawn))
    scale = vae.config["scaling_factor"]
    write_sheet([vae.decode(row / scale).sample for row in rows], path)
    return float((rows[2] - z).pow(2).mean())


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--features", type=Path, required=True, help="VGG19 weights for the perceptual loss")
    return parser.parse_args()


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = options()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["denoiser"] | {"label_dropout": 0.0} | everything["few_step"], everything["seed"]
    num_classes = load_taxonomy(recipe["taxonomy"]).num_classes
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    vae = AutoencoderDC.from_pretrained(arguments.runs / "export" / "vae").to(device, memory_format=torch.channels_last)
    vae = vae.eval().requires_grad_(False)
    unet = build_denoiser(recipe, vae.config["latent_channels"])
    unet = load_averaged(unet, arguments.runs / "denoiser" / "checkpoint.pt")
    unet = unet.to(device, memory_format=torch.channels_last)
    # torch 2.13 crashes on CPUs where a channels-last GroupNorm is trained whose input needs no gradient.
    unet.mid_block.resnets[-1].conv2.bias.requires_grad_(True)
    model = FewStepHead.from_denoiser(unet).to(device, memory_format=torch.channels_last).requires_grad_(True)
    critics = PictureCritics(arguments.features, recipe, num_classes, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], betas=(0.5, 0.99), weight_decay=0.0)
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "critic": critics.projected, "average": average}
    objects |= {"optimizer": optimizer, "critic_optimizer": critics.optimizer}
    run = TrainingRun(arguments.runs / "few_step", objects, max_minutes=arguments.max_minutes, save_every=100)
    shown = everything["likeness"] | {"taxonomy": recipe["taxonomy"]}
    held_out = LikenessCache(arguments.runs / "val", vae, shown, device)
    train = LikenessCache(arguments.runs / "train", vae, shown, device)
    batches, scheduler = shuffled_batches(len(train), recipe["batch_size"], seed, run.step), build_scheduler()

    def validate_step(step: int) -> None:
        with averaged(model, average):
            error = validate(unet, model, vae, held_out, recipe, run.folder / f"sheet-{step:06d}.png")
            run.write_log(step, held_out=round(error, 5))

    for step in run.steps(recipe["num_steps"], 250, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"])
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * factor
        batch = Batch.load(train, next(batches), recipe, rng)
        levels = rng.choice(FEW_STEPS, len(batch.latents), p=recipe["timestep_weights"])
        timesteps, real = TIMESTEPS[torch.from_numpy(levels)].to(device), batch.latents.to(device)
        noise = torch.from_numpy(rng.standard_normal(real.shape, dtype=np.float32)).to(device)
        noisy, condition = scheduler.add_noise(real, noise, timesteps), batch.condition.to(device)
        alpha = scheduler.alphas_cumprod.to(device)[timesteps][:, None, None, None]
        with accelerator.autocast():
            leapt = leap(noisy, model(unet, torch.cat([noisy, condition], dim=1), timesteps).float(), alpha)
            regression = (alpha.clamp(min=recipe["least_weight"]) * (leapt - real).pow(2)).mean()
            crops = batch.windows(leapt, recipe["decoded_side"]) / vae.config["scaling_factor"]
            drawn = vae.decode(crops.contiguous(memory_format=torch.channels_last)).sample
            labels = batch.windows(condition[:, :num_classes], recipe["decoded_side"])
            heard = step >= recipe["adversarial_start"]
            gradient, terms = critics.gradient(drawn, batch.crops.to(device), labels, heard)
        torch.autograd.backward([regression, drawn], [None, gradient.to(drawn.dtype)])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(regression=regression.item(), **{name: term.item() for name, term in terms.items()})


if __name__ == "__main__":
    main()
