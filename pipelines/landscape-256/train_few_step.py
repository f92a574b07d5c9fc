"""Distil the denoiser of `landscape-256` to one to four steps.

    python pipelines/landscape-256/train_few_step.py [--max-minutes 60]

The student is the denoiser with a way up of its own (`sgc_diffusion.synthesis.few_step`). It learns from two teachers:

    pairs   noise and what the denoiser makes of it in 20 guided steps: which noise gives which picture
    critic  heads on the denoiser's features of noised latents, real or the student's: how real ones look
            (latent adversarial distillation, Sauer et al., https://arxiv.org/abs/2403.12015)

The first run writes `few_step/pairs.pt`: groups of (start, drawn), each (B, C, s, s). Resumable: the same command goes
on.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC, UNet2DModel
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn import functional
from train_denoiser import LatentCache, build_denoiser, build_scheduler, load_first_stage, training_batch

from sgc_diffusion.synthesis.conditioning import NUM_COLOR_PLANES
from sgc_diffusion.synthesis.few_step import FewStepHead, few_step_predictor
from sgc_diffusion.synthesis.latent_diffusion import FEW_STEPS, Predictor, denoise, label_predictor, select_timesteps
from sgc_diffusion.synthesis.latent_diffusion import build_scheduler as build_sampler
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, load_averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import hinge_discriminator_loss

RECIPE = Path(__file__).with_name("recipe.toml")
TIMESTEPS = torch.tensor([1000 * (index + 1) // FEW_STEPS - 1 for index in reversed(range(FEW_STEPS))])


class Critic(nn.Module):
    """Convolutional heads on the features of the denoiser's way down; all give logits on its coarsest grid.

    Args:
        channels: of the denoiser's levels; the last counts twice, for the middle block.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        halvings = [*range(len(channels) - 1, -1, -1), 0]
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, width, affine=False),
                nn.Conv2d(width, 64, 3, 2 if count > 1 else 1, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(64, 64, 3, 2 if count > 0 else 1, 1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(64, 1, 1),
            )
            for width, count in zip([*channels, channels[-1]], halvings, strict=True)
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Return all logits of each picture, (B, N)."""
        return torch.cat(
            [head(level).flatten(1) for head, level in zip(self.heads, features, strict=True)], dim=1
        ).float()


def downward_features(unet: UNet2DModel, sample: torch.Tensor, timesteps: torch.Tensor) -> list[torch.Tensor]:
    """Return the features of each level of a denoiser, at that level's resolution, and those of its middle."""
    embedding = unet.time_embedding(unet.time_proj(timesteps).to(sample.dtype))
    hidden, features = unet.conv_in(sample), []
    for block in unet.down_blocks:
        hidden, states = block(hidden, embedding)
        features.append(states[0])
    return [*features, unet.mid_block(hidden, embedding)]


def draw(
    predict: Predictor, sampler_name: str, num_steps: int, start: torch.Tensor, noise: torch.Tensor, noise_gain: float
) -> torch.Tensor:
    """Return latents drawn as the pipeline's first pass does, from a color map's latents and noise."""
    sampler = build_sampler(sampler_name, build_scheduler())
    timesteps = select_timesteps(sampler, num_steps, 1.0, noise.device)
    return denoise(predict, sampler, start, noise, timesteps, lambda index, t, z: z, noise_gain=noise_gain)


@dataclass
class Batch:
    """Pictures with their conditions (B, K + 4, s, s), real latents and noise (B, C, s, s)."""

    real: torch.Tensor
    condition: torch.Tensor
    noise: torch.Tensor

    @classmethod
    def load(cls, cache: LatentCache, indices: np.ndarray, recipe: dict, seed: tuple[int, ...]) -> "Batch":
        """Return photographs' crops, always the same for one seed."""
        rng = np.random.default_rng(seed)
        real, condition = training_batch(cache, indices, recipe, recipe["num_classes"], rng)
        noise = torch.from_numpy(rng.standard_normal(real.shape, dtype=np.float32))
        return cls(real * recipe["latent_scale"], condition, noise)

    @torch.no_grad()
    def start(self, vae: AutoencoderDC) -> torch.Tensor:
        """Return the color maps' latents, (B, C, s, s), where drawing starts."""
        colors = self.condition[:, -NUM_COLOR_PLANES:][:, :3]
        pixels = functional.interpolate(colors, scale_factor=8, mode="bicubic").clamp(-1, 1)
        return vae.encode(pixels.to(memory_format=torch.channels_last)).latent * vae.config.scaling_factor

    def select(self, chosen: torch.Tensor) -> "Batch":
        """Return some of the pictures."""
        return Batch(self.real[chosen], self.condition[chosen], self.noise[chosen])

    def joined(self, other: "Batch") -> "Batch":
        """Return both batches as one."""
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return Batch(*(torch.cat([mine, theirs]) for mine, theirs in both))

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(values.to(device) for values in vars(self).values()))


class Pairs:
    """Noise and what the denoiser draws from it, in groups; drawn at the first use.

    Args:
        path: of the file.
        unet: the denoiser.
        vae: the first stage.
        cache: of the photographs whose labels and colors are drawn.
        recipe: of the distillation.
    """

    def __init__(self, path: Path, unet: UNet2DModel, vae: AutoencoderDC, cache: LatentCache, recipe: dict) -> None:
        order = np.random.default_rng(recipe["seed"]).permutation(len(cache))[: recipe["num_pairs"]]
        self.groups = np.array_split(order, -(-len(order) // recipe["batch_size"]))
        self._cache, self._recipe = cache, recipe
        if not path.exists():
            self._draw_all(path, unet, vae)
        self._drawn = torch.load(path, weights_only=True)

    def batch(self, number: int) -> Batch:
        """Return the conditions and the noise of group `number`."""
        return Batch.load(self._cache, self.groups[number], self._recipe, (self._recipe["seed"], 1, number))

    def drawn(self, number: int, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return where drawing started and what the denoiser drew, each (B, C, s, s)."""
        start, drawn = self._drawn[number][:, chosen].float()
        return start, drawn

    @torch.no_grad()
    def _draw_all(self, path: Path, unet: UNet2DModel, vae: AutoencoderDC) -> None:
        device, drawn = next(unet.parameters()).device, []
        for number in range(len(self.groups)):
            batch = self.batch(number).to(device)
            predict, start = guided(unet, batch.condition, self._recipe), batch.start(vae)
            with torch.autocast(device.type, torch.bfloat16):
                picture = draw(predict, "dpm-solver++", 20, start, batch.noise, self._recipe["noise_gain"])
            drawn.append(torch.stack([start, picture]).half().cpu())
        temporary = path.with_suffix(".tmp")
        torch.save(drawn, temporary)
        temporary.rename(path)


def guided(unet: UNet2DModel, condition: torch.Tensor, recipe: dict) -> Predictor:
    """Return the teacher's prediction."""
    return label_predictor(unet, condition, recipe["num_classes"], recipe["guidance_scale"])


def student_batch(
    pairs: Pairs, train: LatentCache, indices: np.ndarray, recipe: dict, rng: np.random.Generator, device: torch.device
) -> tuple[Batch, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a batch, half of it pairs at T, half photographs at any of the timesteps.

    Returns:
        The batch; timesteps (B,); noisy latents and what they are to become, each (B, C, s, s); the latter's weight in
        the regression (B,): for photographs it is the share of their variance that the noise has left.
    """
    half, scheduler = recipe["batch_size"] // 2, build_scheduler()
    number = int(rng.integers(len(pairs.groups)))
    chosen = torch.from_numpy(rng.permutation(len(pairs.groups[number]))[:half])
    fresh = Batch.load(train, indices[:half], recipe, tuple(rng.integers(2**31, size=2)))
    batch = pairs.batch(number).select(chosen).joined(fresh).to(device)
    levels = np.concatenate([np.zeros(len(chosen), int), rng.choice(FEW_STEPS, half, p=recipe["timestep_weights"])])
    timesteps = TIMESTEPS[torch.from_numpy(levels)].to(device)
    noisy = scheduler.add_noise(batch.real, batch.noise, timesteps)
    start, drawn = (latents.to(device) for latents in pairs.drawn(number, chosen))
    first = batch.noise[: len(chosen)] * recipe["noise_gain"]
    noisy[: len(chosen)] = scheduler.add_noise(start, first, timesteps[: len(chosen)])
    target = torch.cat([drawn, batch.real[len(chosen) :]])
    weights = scheduler.alphas_cumprod.to(device)[timesteps]
    weights[: len(chosen)] = recipe["pair_weight"]
    return batch, timesteps, noisy, target, weights


def leap(noisy: torch.Tensor, velocity: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Return the clean latents that a velocity means."""
    alpha = build_scheduler().alphas_cumprod.to(noisy.device)[timesteps][:, None, None, None]
    return alpha.sqrt() * noisy - (1 - alpha).sqrt() * velocity


@torch.no_grad()
def validate(
    unet: UNet2DModel, head: FewStepHead, vae: AutoencoderDC, cache: LatentCache, recipe: dict, path: Path
) -> float:
    """Write a sheet: photographs through the first stage, drawn in 1, 2 and 4 steps, and by the denoiser in 20.

    Returns:
        The mean squared difference between one step and twenty.
    """
    device = next(unet.parameters()).device
    batch = Batch.load(cache, np.arange(0, min(16, len(cache)), 2), recipe, (0,)).to(device)
    start, student = batch.start(vae), few_step_predictor(unet, head, batch.condition)
    gain = recipe["noise_gain"]
    rows = [draw(student, "lcm", steps, start, batch.noise, gain) for steps in (1, 2, 4)]
    rows.append(draw(guided(unet, batch.condition, recipe), "dpm-solver++", 20, start, batch.noise, gain))
    shown = [batch.real, *rows]
    write_sheet([vae.decode(row / recipe["latent_scale"]).sample for row in shown], path)
    return float((rows[0] - rows[-1]).pow(2).mean())


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = recipe_parser(__doc__, RECIPE).parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    seed, num_classes = everything["seed"], load_taxonomy(everything["taxonomy"]).num_classes
    torch.manual_seed(seed)

    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    vae = load_first_stage(arguments.runs, device)
    recipe = (
        everything["denoiser"]
        | {"label_dropout": 0.0, "color_dropout": 0.0}
        | everything["few_step"]
        | everything["drawing"]
    )
    recipe |= {"seed": seed, "num_classes": num_classes, "latent_scale": vae.config.scaling_factor}
    unet = build_denoiser(recipe, vae.config.latent_channels, num_classes)
    load_averaged(unet, arguments.runs / "denoiser" / "checkpoint.pt").to(device, memory_format=torch.channels_last)
    # torch 2.13 crashes on CPUs where a channels-last GroupNorm is trained whose input needs no gradient.
    unet.mid_block.resnets[-1].conv2.bias.requires_grad_(True)
    model = FewStepHead.from_denoiser(unet).to(device, memory_format=torch.channels_last).requires_grad_(True)
    critic = Critic(recipe["block_out_channels"]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], betas=(0.5, 0.99), weight_decay=0.0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=recipe["critic_learning_rate"], betas=(0.0, 0.99))
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "critic": critic, "optimizer": optimizer, "critic_optimizer": critic_optimizer}
    run = TrainingRun(arguments.runs / "few_step", {**objects, "average": average}, max_minutes=arguments.max_minutes)
    train = LatentCache(arguments.runs / "train", vae, device)
    held_out = LatentCache(arguments.runs / "val", vae, device)
    pairs = Pairs(run.folder / "pairs.pt", unet, vae, train, recipe)
    batches, scheduler = shuffled_batches(len(train), recipe["batch_size"], seed, run.step), build_scheduler()

    def validate_step(step: int) -> None:
        with averaged(model, average):
            difference = validate(unet, model, vae, held_out, recipe, run.folder / f"sheet-{step:06d}.png")
            run.write_log(step, held_out_difference=round(difference, 5))

    def judge(latents: torch.Tensor, batch: Batch, timesteps: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        noised = scheduler.add_noise(latents, noise, timesteps)
        return critic(downward_features(unet, torch.cat([noised, batch.condition], dim=1), timesteps))

    for step in run.steps(recipe["num_steps"], 250, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"])
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * factor
        batch, timesteps, noisy, target, weights = student_batch(pairs, train, next(batches), recipe, rng, device)
        times = torch.from_numpy(rng.integers(*recipe["critic_timesteps"], len(noisy))).to(device)
        noise = torch.from_numpy(rng.standard_normal(noisy.shape, dtype=np.float32)).to(device)
        with accelerator.autocast():
            velocity = model(unet, torch.cat([noisy, batch.condition], dim=1), timesteps).float()
            leapt = leap(noisy, velocity, timesteps)
            regression = (weights * (leapt - target).pow(2).mean(dim=(1, 2, 3))).mean()
            loss = regression
            if step >= recipe["adversarial_start"]:
                critic.requires_grad_(False)
                loss = loss - recipe["adversarial_weight"] * judge(leapt, batch, times, noise).mean()
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        critic.requires_grad_(True)
        with accelerator.autocast():
            real_logits = judge(batch.real, batch, times, noise)
            drawn_logits = judge(leapt.detach(), batch, times, noise)
            critic_loss = hinge_discriminator_loss(real_logits, drawn_logits)
        accelerator.backward(critic_loss)
        critic_optimizer.step()
        critic_optimizer.zero_grad()
        run.log(regression=regression.item(), critic=critic_loss.item())


if __name__ == "__main__":
    main()
