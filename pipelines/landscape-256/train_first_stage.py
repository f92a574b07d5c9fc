"""Train the first stage of `landscape-256`: an f8 autoencoder with a perceptual loss.

What adversarial training adds, `train_decoder.py` does at the end.

    python pipelines/landscape-256/train_first_stage.py --features vgg19.safetensors [--max-minutes 60]

Resumable: the same command goes on from `runs/landscape-256/first_stage/checkpoint.pt`.
"""

import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC
from diffusers.training_utils import EMAModel
from torch.nn import functional

from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import PerceptualLoss, grid_error

RECIPE = Path(__file__).with_name("recipe.toml")


def build_first_stage(recipe: dict) -> AutoencoderDC:
    """Return the untrained autoencoder of the recipe."""
    channels = recipe["block_out_channels"]
    no_attention = ((),) * len(channels)
    return AutoencoderDC(
        latent_channels=recipe["latent_channels"],
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=recipe["encoder_layers"],
        decoder_layers_per_block=recipe["decoder_layers"],
        encoder_qkv_multiscales=no_attention,
        decoder_qkv_multiscales=no_attention,
    )


def to_tensor(photos: list[np.ndarray]) -> torch.Tensor:
    """Stack (H, W, 3) uint8 pictures to (B, 3, H, W) float32 in [−1, 1], channels last."""
    batch = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def random_crops(cache: PhotoCache, indices: np.ndarray, size: int, rng: np.random.Generator) -> torch.Tensor:
    """Return random flipped crops (B, 3, size, size) in [−1, 1]."""
    crops = []
    for index in indices:
        photo = cache.photo(index)
        top, left = (rng.integers(0, extent - size + 1) for extent in photo.shape[:2])
        crop = photo[top : top + size, left : left + size]
        crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return to_tensor(crops)


def center_crops(cache: PhotoCache, indices: range, size: int = 256) -> torch.Tensor:
    """Return center crops (B, 3, size, size) in [−1, 1]."""
    crops = []
    for index in indices:
        photo = cache.photo(index)
        top, left = ((extent - size) // 2 for extent in photo.shape[:2])
        crops.append(photo[top : top + size, left : left + size])
    return to_tensor(crops)


def blur_some(images: torch.Tensor, probability: float, rng: np.random.Generator) -> torch.Tensor:
    """Replace some pictures by what a color map of 4 to 16 cells a side keeps of them."""
    images = images.clone()
    for index in np.flatnonzero(rng.random(len(images)) < probability):
        cells = int(rng.choice([4, 8, 16]))
        small = functional.interpolate(images[index : index + 1], (cells, cells), mode="area")
        images[index] = functional.interpolate(small, images.shape[-2:], mode="bicubic")[0].clamp(-1, 1)
    return images


def reconstruction_loss(
    decoded: torch.Tensor, images: torch.Tensor, perceptual: PerceptualLoss, recipe: dict
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return how far decoded pictures (B, 3, H, W) are from the true ones: the weighted sum, and its terms."""
    difference = decoded - images
    pixel = difference.abs().mean() + difference.pow(2).mean()
    feature, grid = perceptual(decoded, images), grid_error(difference)
    loss = pixel + recipe["perceptual_weight"] * feature + recipe["grid_weight"] * grid
    return loss, {"pixel": pixel, "feature": feature, "grid": grid}


@torch.no_grad()
def validate(model: AutoencoderDC, images: torch.Tensor, path: Path) -> dict[str, float]:
    """Return PSNR (dB), the grid (8-bit levels) and latent statistics, and write a sheet of inputs over outputs."""
    model.eval()
    latents = model.encode(images).latent
    decoded = model.decode(latents).sample.clamp(-1, 1)
    model.train()
    error = ((decoded - images) / 2).pow(2).mean(dim=(1, 2, 3))
    write_sheet([images[:6], decoded[:6]], path)
    psnr = (-10 * error.log10()).mean()
    grid = 127.5 * grid_error(decoded - images)
    values = {"psnr_db": psnr, "grid_levels": grid, "latent_std": latents.std(), "latent_mean": latents.mean()}
    return {name: float(value) for name, value in values.items()}


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--features", type=Path, required=True, help="VGG19 weights for the perceptual loss")
    arguments = parser.parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["first_stage"], everything["seed"]
    torch.manual_seed(seed)

    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    model = build_first_stage(recipe).to(device, memory_format=torch.channels_last)
    perceptual = PerceptualLoss(arguments.features).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.99), weight_decay=1e-3)
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "first_stage", objects, max_minutes=arguments.max_minutes)

    cache = PhotoCache(arguments.runs / "train")
    val = PhotoCache(arguments.runs / "val")
    held_out = center_crops(val, range(min(24, len(val)))).to(device)
    batches = shuffled_batches(len(cache), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average):
            run.write_log(step, **validate(model, held_out, run.folder / f"sheet-{step:06d}.png"))

    for step in run.steps(recipe["num_steps"], 300, validate_step):
        rng = np.random.default_rng((seed, step))
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * warmup_cosine(step, recipe["num_steps"])
        images = random_crops(cache, next(batches), recipe["crop_size"], rng).to(device)
        images = blur_some(images, recipe["blur_probability"], rng)
        with accelerator.autocast():
            latents = model.encode(images).latent.float()
            noisy = latents + recipe["latent_noise"] * torch.randn_like(latents)
            if rng.random() < recipe["half_probability"]:
                noisy, images = functional.avg_pool2d(noisy, 2), functional.avg_pool2d(images, 2)
            decoded = model.decode(noisy).sample.float()
            loss, values = reconstruction_loss(decoded, images, perceptual, recipe)
            loss = loss + recipe["latent_penalty"] * latents.pow(2).mean()
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        values["latent_std"] = latents.detach().std()
        run.log(**{name: value.item() for name, value in values.items()})


if __name__ == "__main__":
    main()
