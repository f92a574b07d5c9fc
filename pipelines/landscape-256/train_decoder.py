"""Train the first stage's decoder of `landscape-256` on, with the encoder and so all latents as they are.

    photographs' latents ──▶ decoder ──▶ pixels, features and no grid: as in the photographs
    drawn latents ─────────▶ decoder ──▶ colors as before, details such that the critic takes them for photographs'

A decoder that has seen encoded latents only makes the denoiser's errors visible; here it learns from the latents that
`train_few_step.py` had the denoiser draw.

    python pipelines/landscape-256/train_decoder.py --features vgg19.safetensors [--max-minutes 60]

Resumable: the same command goes on.
"""

import copy
import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC
from diffusers.training_utils import EMAModel
from torch.nn import functional
from train_denoiser import LatentCache
from train_first_stage import build_first_stage, center_crops, reconstruction_loss, to_tensor, validate

from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, load_averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import PatchDiscriminator, PerceptualLoss, hinge_discriminator_loss

RECIPE = Path(__file__).with_name("recipe.toml")


def photograph_batch(
    cache: LatentCache, indices: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (B, 3, 8·side, 8·side) in [−1, 1] and their latents (B, C, side, side)."""
    crops, encoded = [], []
    for index in indices:
        top, left = (int(rng.integers(0, extent - side + 1)) for extent in cache.grids[index])
        crops.append(cache.photo(index)[8 * top : 8 * (top + side), 8 * left : 8 * (left + side)])
        encoded.append(torch.from_numpy(cache.window(index, top, left, side)[0]).permute(2, 0, 1).float())
    return to_tensor(crops), torch.stack(encoded)


def drawn_batch(drawn: torch.Tensor, count: int, side: int, rng: np.random.Generator) -> torch.Tensor:
    """Return `count` random windows (B, C, side, side) of drawn latents (N, C, s, s)."""
    windows = []
    for index in rng.integers(0, len(drawn), count):
        top, left = (int(rng.integers(0, extent - side + 1)) for extent in drawn.shape[-2:])
        windows.append(drawn[index, :, top : top + side, left : left + side])
    return torch.stack(windows).float()


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--features", type=Path, required=True, help="VGG19 weights for the perceptual loss")
    arguments = parser.parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["first_stage"] | everything["decoder"], everything["seed"]
    torch.manual_seed(seed)

    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    first_stage = arguments.runs / "first_stage" / "checkpoint.pt"
    model = load_averaged(build_first_stage(recipe), first_stage).to(device, memory_format=torch.channels_last)
    before = copy.deepcopy(model.decoder)
    model.decoder.requires_grad_(True)
    critic = PatchDiscriminator().to(device, memory_format=torch.channels_last)
    perceptual = PerceptualLoss(arguments.features).to(device)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.99))
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=2e-4, betas=(0.5, 0.9))
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "critic": critic, "optimizer": optimizer, "critic_optimizer": critic_optimizer}
    run = TrainingRun(arguments.runs / "decoder", {**objects, "average": average}, max_minutes=arguments.max_minutes)

    cache, val = LatentCache(arguments.runs / "train", model, device), PhotoCache(arguments.runs / "val")
    scale = AutoencoderDC.load_config(arguments.runs / "export" / "vae")["scaling_factor"]
    _, drawn = torch.cat(torch.load(arguments.runs / "few_step" / "pairs.pt", weights_only=True), dim=1) / scale
    held_out, shown = center_crops(val, range(min(24, len(val)))).to(device), drawn[:6].float().to(device)
    num_drawn, side = recipe["num_drawn"], recipe["crop_size"] // 8
    num_photos = recipe["batch_size"] - num_drawn
    batches = shuffled_batches(len(cache), num_photos, seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average), torch.no_grad():
            run.write_log(step, **validate(model, held_out, run.folder / f"sheet-{step:06d}.png"))
            write_sheet([before(shown), model.decoder(shown)], run.folder / f"drawn-{step:06d}.png")

    model.train()
    for step in run.steps(recipe["num_steps"], 500, validate_step):
        rng = np.random.default_rng((seed, step))
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * warmup_cosine(step, recipe["num_steps"])
        images, encoded = photograph_batch(cache, next(batches), side, rng)
        encoded = encoded + recipe["latent_noise"] * torch.from_numpy(rng.standard_normal(encoded.shape)).float()
        imagined = drawn_batch(drawn, num_drawn, side, rng).to(device)
        images, both = images.to(device), torch.cat([encoded.to(device), imagined])
        with accelerator.autocast():
            decoded = model.decode(both.contiguous(memory_format=torch.channels_last)).sample.float()
            of_photos, of_drawn = decoded[:num_photos], decoded[num_photos:]
            with torch.no_grad():
                colors = functional.avg_pool2d(before(imagined).float(), 8)
            color = (functional.avg_pool2d(of_drawn, 8) - colors).abs().mean()
            loss, values = reconstruction_loss(of_photos, images, perceptual, recipe)
            loss = loss + recipe["color_weight"] * color
            if step >= recipe["adversarial_start"]:  # the critic learns a little before it is heard
                critic.requires_grad_(False)
                loss = loss - recipe["adversarial_weight"] * critic(decoded).float().mean()
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.decoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        critic.requires_grad_(True)
        with accelerator.autocast():
            critic_loss = hinge_discriminator_loss(critic(images).float(), critic(decoded.detach()).float())
        accelerator.backward(critic_loss)
        critic_optimizer.step()
        critic_optimizer.zero_grad()
        values |= {"color": color, "critic": critic_loss}
        run.log(**{name: value.item() for name, value in values.items()})


if __name__ == "__main__":
    main()
