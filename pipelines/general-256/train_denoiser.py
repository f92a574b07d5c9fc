"""Train the denoiser of `general-256`: latents of the first stage, from labels and from what a file shows of a picture.

    noisy latents ─┐
    labels ────────┼──▶ UNet ──▶ velocity
    likeness ──────┘   (its latents; how wide its color cells are; the share of the detail levels that it knows)

The likenesses are those of files cut at random places, so that every byte of a file is of use.

    python pipelines/general-256/train_denoiser.py [--start FOLDER] [--max-minutes 60]

The first run encodes every photograph and its likenesses. Resumable: the same command goes on.
"""

import argparse
import logging
import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC, DDIMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel, compute_snr
from likeness_cache import LikenessCache
from torch.nn import functional

from sgc_diffusion.synthesis import latent_diffusion
from sgc_diffusion.synthesis.conditioning import NUM_FIDELITY_PLANES, fidelity_planes
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet

RECIPE = Path(__file__).with_name("recipe.toml")
SNR_SCALE = 5.0  # γ of the loss weights


def num_conditions(latent_channels: int, taxonomy: str) -> int:
    """Return how many planes stand beside the noisy latents: labels, likeness, fidelity."""
    return load_taxonomy(taxonomy).num_classes + latent_channels + NUM_FIDELITY_PLANES


def build_denoiser(recipe: dict, latent_channels: int) -> UNet2DModel:
    """Return the untrained denoiser of the recipe; attention only at the lowest level."""
    channels = recipe["block_out_channels"]
    plain = len(channels) - 1
    return UNet2DModel(
        sample_size=recipe["latent_side"],
        in_channels=latent_channels + num_conditions(latent_channels, recipe["taxonomy"]),
        out_channels=latent_channels,
        layers_per_block=recipe["layers_per_block"],
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        attention_head_dim=32,
    )


@torch.no_grad()
def take_over(model: UNet2DModel, start: UNet2DModel) -> None:
    """Start from a denoiser of the same widths, on fewer latents and other planes: all but its first and last layer."""
    own, inner = model.state_dict(), start.state_dict()
    model.load_state_dict(
        {name: value for name, value in inner.items() if own[name].shape == value.shape}, strict=False
    )
    few = start.config["out_channels"]
    model.conv_in.weight[:, :few] = start.conv_in.weight[:, :few]
    model.conv_out.weight[:few] = start.conv_out.weight
    model.conv_out.bias[:few] = start.conv_out.bias


def build_scheduler() -> DDIMScheduler:
    """Return the noise schedule: LDM's, linear in √β, with v-prediction; pictures start from its very end."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
    )


def condition_planes(
    ids: np.ndarray, shown: np.ndarray, fidelity: np.ndarray, factor: int, num_classes: int
) -> torch.Tensor:
    """Return the planes (K + C + 2, s, s) float32: labels, likeness, fidelity.

    Args:
        ids: (s, s) uint8.
        shown: (s, s, C) float16 latents of the likeness.
        fidelity: (2,) pixels a color cell, share of the detail levels.
        factor: latents a label cell is wide.
        num_classes: K.
    """
    side = len(ids)
    cells = torch.from_numpy(ids[factor // 2 :: factor, factor // 2 :: factor].astype(np.int64))
    one_hot = functional.one_hot(cells, num_classes).permute(2, 0, 1)[None].float()
    labels = functional.interpolate(one_hot, (side, side), mode="nearest")[0]
    latents = torch.from_numpy(shown.astype(np.float32)).permute(2, 0, 1)
    return torch.cat([labels, latents, fidelity_planes(*fidelity.tolist(), side, side)])


def random_window(
    cache: LikenessCache, index: int, recipe: dict, rng: np.random.Generator | None
) -> tuple[tuple[int, int], torch.Tensor, torch.Tensor]:
    """Return a window's corner in latents, its latents (C, s, s) and its condition (P, s, s), which may be unlabeled.

    Args:
        cache: of the photographs.
        index: of the entry.
        recipe: of the denoiser.
        rng: None for the center with labels, the same each time.
    """
    side, num_classes = recipe["latent_side"], load_taxonomy(recipe["taxonomy"]).num_classes
    slack = cache.grids[index] - side
    top, left = (int(s // 2) if rng is None else int(rng.integers(0, s + 1)) for s in slack)
    variant = 0 if rng is None else int(rng.integers(cache.recipe["variants"]))
    z, shown, ids, fidelity = cache.window(index, top, left, side, variant)
    factor = 1 if rng is None else int(rng.choice(recipe["coarse_factors"], p=recipe["coarse_weights"]))
    condition = condition_planes(ids, shown, fidelity, factor, num_classes)
    if rng is not None and rng.random() < recipe["label_dropout"]:
        condition[:num_classes] = 0
    return (top, left), torch.from_numpy(z.astype(np.float32)).permute(2, 0, 1), condition


def training_batch(
    cache: LikenessCache, indices: np.ndarray, recipe: dict, rng: np.random.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents (B, C, s, s) and conditions (B, P, s, s), some of them unlabeled; the centers without `rng`."""
    _, latents, conditions = zip(*(random_window(cache, index, recipe, rng) for index in indices), strict=True)
    return torch.stack(latents), torch.stack(conditions)


def denoising_error(
    model: UNet2DModel, scheduler: DDIMScheduler, z: torch.Tensor, condition: torch.Tensor, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the squared error of the velocity at random times, and its weight, each (B,).

    The weight γ / (γ + SNR) is min-SNR weighting without its fall towards T (Hang et al.,
    https://arxiv.org/abs/2303.09556): pictures are drawn from T on.
    """
    timesteps = torch.from_numpy(rng.integers(0, 1000, len(z))).to(z.device)
    noise = torch.from_numpy(rng.standard_normal(z.shape, dtype=np.float32)).to(z.device)
    noisy = scheduler.add_noise(z, noise, timesteps)
    target = scheduler.get_velocity(z, noise, timesteps)
    stacked = torch.cat([noisy, condition], dim=1).contiguous(memory_format=torch.channels_last)
    with torch.autocast(z.device.type, torch.bfloat16):
        prediction = model(stacked, timesteps).sample.float()
    error = (prediction - target).pow(2).mean(dim=(1, 2, 3))
    return error, SNR_SCALE / (SNR_SCALE + compute_snr(scheduler, timesteps))


@torch.no_grad()
def validate(
    model: UNet2DModel, vae: AutoencoderDC, cache: LikenessCache, recipe: dict, path: Path
) -> dict[str, float]:
    """Return the error on held-out photographs, the same noise each time, by what was shown; write a sheet.

    The sheet has photographs through the first stage, their likenesses, and what is drawn from labels and likeness.
    """
    model.eval()
    rng, device = np.random.default_rng(0), next(model.parameters()).device
    num_classes = load_taxonomy(recipe["taxonomy"]).num_classes
    errors, known = [], []
    order = np.random.default_rng(1).permutation(len(cache))
    for indices in np.array_split(order, -(-len(order) // 16)):
        latents, condition = (values.to(device) for values in training_batch(cache, indices, recipe, None))
        errors.append(denoising_error(model, build_scheduler(), latents, condition, rng)[0])
        known.append(condition[:, -1, 0, 0])
        if len(errors) == 1:
            z, conditions = latents[:12], condition[:12]
    sampler = latent_diffusion.build_scheduler("dpm-solver++", build_scheduler())
    timesteps = latent_diffusion.select_timesteps(sampler, 20, 1.0, device)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(device)
    predict = latent_diffusion.label_predictor(model, conditions, num_classes, 2.0)
    start = conditions[:, num_classes : num_classes + z.shape[1]]
    drawn = latent_diffusion.denoise(predict, sampler, start, noise, timesteps, lambda index, t, latents: latents)
    scale = vae.config["scaling_factor"]
    write_sheet([vae.decode(latents / scale).sample for latents in (z, start, drawn)], path)
    model.train()
    error, without = torch.cat(errors), torch.cat(known) == 0
    means = {"held_out_colors": error[without].mean(), "held_out_detail": error[~without].mean()}
    return {name: round(float(value), 5) for name, value in means.items()}


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--start", type=Path, help="folder of a denoiser to start from")
    parser.add_argument("--only-encode", action="store_true", help="write the latents and stop")
    return parser.parse_args()


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["denoiser"], everything["seed"]
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    vae = AutoencoderDC.from_pretrained(arguments.runs / "export" / "vae")
    vae = vae.to(device, memory_format=torch.channels_last).eval()
    shown = everything["likeness"] | {"taxonomy": recipe["taxonomy"]}
    held_out = LikenessCache(arguments.runs / "val", vae, shown, device)
    train = LikenessCache(arguments.runs / "train", vae, shown, device)
    if arguments.only_encode:
        return
    model = build_denoiser(recipe, vae.config["latent_channels"])
    if arguments.start is not None:
        take_over(model, UNet2DModel.from_pretrained(arguments.start, torch_dtype=torch.float32))
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    average = EMAModel(model.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "denoiser", objects, max_minutes=arguments.max_minutes)
    batches, scheduler = shuffled_batches(len(train), recipe["batch_size"], seed, run.step), build_scheduler()

    def validate_step(step: int) -> None:
        with averaged(model, average):
            run.write_log(step, **validate(model, vae, held_out, recipe, run.folder / f"sheet-{step:06d}.png"))

    for step in run.steps(recipe["num_steps"], 500, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"], warmup=recipe["warmup"])
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * factor
        latents, condition = (each.to(device) for each in training_batch(train, next(batches), recipe, rng))
        error, weights = denoising_error(model, scheduler, latents, condition, rng)
        accelerator.backward((weights * error).mean())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(velocity_error=error.mean().item())


if __name__ == "__main__":
    main()
