"""Train the denoiser of `landscape-256`: latents of the first stage, conditioned on labels and colors.

    python pipelines/landscape-256/train_denoiser.py [--max-minutes 60]

The first run encodes every photograph. Resumable: the same command goes on.
"""

import hashlib
import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderDC, DDIMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel, compute_snr
from torch import nn
from torch.nn import functional

from sgc_diffusion.synthesis import latent_diffusion
from sgc_diffusion.synthesis.conditioning import NUM_COLOR_PLANES
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet

RECIPE = Path(__file__).with_name("recipe.toml")
SNR_SCALE = 5.0  # γ of the loss weights
LABELS_PER_LATENT = 4  # the label maps have half the photographs' resolution, the latents an eighth


def build_denoiser(recipe: dict, latent_channels: int, num_classes: int) -> UNet2DModel:
    """Return the untrained denoiser of the recipe; attention only at the lowest level."""
    channels = recipe["block_out_channels"]
    plain = len(channels) - 1
    return UNet2DModel(
        sample_size=recipe["latent_side"],
        in_channels=latent_channels + num_classes + NUM_COLOR_PLANES,
        out_channels=latent_channels,
        layers_per_block=recipe["layers_per_block"],
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
        attention_head_dim=32,
    )


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


def load_first_stage(runs: Path, device: torch.device) -> AutoencoderDC:
    """Return the first stage that `export.py` wrote."""
    first_stage = AutoencoderDC.from_pretrained(runs / "export" / "vae")
    return first_stage.to(device, memory_format=torch.channels_last).eval()


class LatentCache:
    """Latents, labels and colors of every photograph and its mirror image, on the grid of the latents.

    Photograph i is entry 2i, its mirror image 2i + 1: a mirrored picture's latents are not the mirrored latents.

    Args:
        folder: of a `PhotoCache`; `latents-….bin` is written there at the first use of an encoder.
        first_stage: its encoder.
        device: to encode on.
    """

    def __init__(self, folder: Path, first_stage: AutoencoderDC, device: torch.device) -> None:
        self._photos = PhotoCache(folder)
        self.grids = np.repeat(self._photos.shapes // 8, 2, axis=0)
        sizes = self.grids.prod(axis=1)
        self._offsets = np.concatenate([[0], np.cumsum(sizes)])
        self._channels = first_stage.config.latent_channels
        path = folder / f"latents-{_fingerprint(first_stage.encoder)}.bin"
        if not path.exists():
            self._encode(first_stage, device, path)
        planes = self._channels * 2 + 1 + 3
        self._rows = np.memmap(path, dtype=np.uint8, mode="r", shape=(int(sizes.sum()), planes))

    def __len__(self) -> int:
        return len(self.grids)

    def photo(self, index: int) -> np.ndarray:
        """Return what was encoded, (H, W, 3) uint8, the sides divisible by 8."""
        height, width = 8 * self.grids[index]
        photo = self._photos.photo(index // 2)[:height, :width]
        return photo[:, ::-1] if index % 2 else photo

    @torch.no_grad()
    def _encode(self, first_stage: AutoencoderDC, device: torch.device, path: Path) -> None:
        temporary = path.with_suffix(".tmp")
        with open(temporary, "wb") as file:
            for index in range(len(self)):
                labels = majority(self._photos.label_map(index // 2), *self.grids[index])
                image = torch.from_numpy(self.photo(index).copy()).to(device).permute(2, 0, 1)[None].float()
                image = image.contiguous(memory_format=torch.channels_last)
                with torch.autocast(device.type, torch.bfloat16):
                    latents = first_stage.encode(image / 127.5 - 1).latent
                colors = functional.avg_pool2d(image, 8)[0].permute(1, 2, 0).round().byte().cpu().numpy()
                values = latents[0].permute(1, 2, 0).half().contiguous().cpu().numpy().view(np.uint8)
                labels = labels[:, ::-1] if index % 2 else labels
                file.write(np.concatenate([values, labels[..., None], colors], axis=2).tobytes())
        temporary.rename(path)

    def crop(self, index: int, side: int, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return latents (s, s, C) float16, ids (s, s) uint8, colors (s, s, 3) uint8; the center without `rng`."""
        slack = self.grids[index] - side
        top, left = (s // 2 for s in slack) if rng is None else (rng.integers(0, s + 1) for s in slack)
        return self.window(index, top, left, side)

    def window(self, index: int, top: int, left: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `crop` does, from a place."""
        rows = self._rows[self._offsets[index] : self._offsets[index + 1]].reshape(*self.grids[index], -1)
        rows = np.ascontiguousarray(rows[top : top + side, left : left + side])
        latents = np.ascontiguousarray(rows[..., : 2 * self._channels]).view(np.float16)
        return latents, rows[..., -4], rows[..., -3:]


def _fingerprint(encoder: nn.Module) -> str:
    """Return eight digits that tell encoders apart, so that no training takes the latents of another one."""
    digest = hashlib.sha256()
    for weights in encoder.state_dict().values():
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()[:8]


def majority(label_map: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the most frequent id of each 4×4 block, (height, width) uint8."""
    side = LABELS_PER_LATENT
    padded = np.pad(
        label_map,
        ((0, max(0, side * height - label_map.shape[0])), (0, max(0, side * width - label_map.shape[1]))),
        "edge",
    )
    blocks = padded[: side * height, : side * width].reshape(height, side, width, side)
    votes = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(label_map.max() + 1)])
    return votes.argmax(axis=0).astype(np.uint8)


def condition_planes(
    ids: np.ndarray, colors: np.ndarray, factor: int, num_classes: int, rng: np.random.Generator
) -> torch.Tensor:
    """Return (K + 4, s, s) float32: labels in cells of `factor` latents, colors in cells of twice that."""
    side = len(ids)
    cells = torch.from_numpy(ids[factor // 2 :: factor, factor // 2 :: factor].astype(np.int64))
    one_hot = functional.one_hot(cells, num_classes).permute(2, 0, 1)[None].float()
    labels = functional.interpolate(one_hot, (side, side), mode="nearest")
    small = functional.avg_pool2d(
        torch.from_numpy(colors.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1, 2 * factor
    )
    small = small + torch.from_numpy(rng.normal(0, 0.05, small.shape)).float()  # the color coder's own error
    smooth = functional.interpolate(small, (side, side), mode="bicubic").clamp(-1, 1)
    return torch.cat([labels, smooth, torch.ones_like(smooth[:, :1])], dim=1)[0]


def training_batch(
    cache: LatentCache, indices: np.ndarray, recipe: dict, num_classes: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return latents (B, C, s, s) and their conditions (B, K + 4, s, s), some of them dropped."""
    latents, conditions = [], []
    for index in indices:
        z, ids, colors = cache.crop(index, recipe["latent_side"], rng)
        factor = int(rng.choice(recipe["coarse_factors"], p=recipe["coarse_weights"]))
        condition = condition_planes(ids, colors, factor, num_classes, rng)
        if rng.random() < recipe["label_dropout"]:
            condition[:num_classes] = 0
        if rng.random() < recipe["color_dropout"]:
            condition[num_classes:] = 0
        latents.append(torch.from_numpy(z).permute(2, 0, 1).float())
        conditions.append(condition)
    return torch.stack(latents), torch.stack(conditions)


def denoising_error(
    model: UNet2DModel,
    scheduler: DDIMScheduler,
    z: torch.Tensor,
    condition: torch.Tensor,
    rng: np.random.Generator,
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
    model: UNet2DModel, vae: AutoencoderDC, cache: LatentCache, recipe: dict, scale: float, path: Path
) -> float:
    """Return the error on held-out photographs, the same noise each time.

    Writes a sheet: photographs through the first stage, their color maps, and pictures drawn from labels and colors.
    """
    model.eval()
    rng = np.random.default_rng(0)
    num_classes = model.config.in_channels - model.config.out_channels - NUM_COLOR_PLANES
    device, errors = next(model.parameters()).device, []
    plain = recipe | {"label_dropout": 0.0, "color_dropout": 0.0, "coarse_factors": [1], "coarse_weights": [1.0]}
    for indices in np.array_split(np.arange(0, len(cache), 2), -(-len(cache) // 16)):
        latents, condition = training_batch(cache, indices, plain, num_classes, rng)
        latents, condition = latents.to(device) * scale, condition.to(device)
        errors.append(denoising_error(model, build_scheduler(), latents, condition, rng)[0])
        if len(errors) == 1:
            shown, conditions = latents, condition
    pictures = functional.interpolate(conditions[:, -4:-1], scale_factor=8, mode="bicubic")
    sampler = latent_diffusion.build_scheduler("dpm-solver++", build_scheduler())
    timesteps = latent_diffusion.select_timesteps(sampler, 20, 1.0, device)
    noise = torch.randn(shown.shape, generator=torch.Generator().manual_seed(0)).to(device)
    predict = latent_diffusion.label_predictor(model, conditions, num_classes, 3.0)
    start = vae.encode(pictures).latent * scale
    drawn = latent_diffusion.denoise(predict, sampler, start, noise, timesteps, lambda index, t, z: z)
    rows = [vae.decode(shown / scale).sample, pictures, vae.decode(drawn / scale).sample]
    write_sheet(rows, path)
    model.train()
    return float(torch.cat(errors).mean())


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = recipe_parser(__doc__, RECIPE).parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["denoiser"], everything["seed"]
    torch.manual_seed(seed)

    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    vae = load_first_stage(arguments.runs, device)
    scale, num_classes = vae.config.scaling_factor, load_taxonomy(everything["taxonomy"]).num_classes
    model = build_denoiser(recipe, vae.config.latent_channels, num_classes).to(
        device, memory_format=torch.channels_last
    )
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe["learning_rate"], betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    average = EMAModel(model.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    scheduler = build_scheduler()
    train = LatentCache(arguments.runs / "train", vae, device)
    held_out = LatentCache(arguments.runs / "val", vae, device)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "denoiser", objects, max_minutes=arguments.max_minutes)
    batches = shuffled_batches(len(train), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average):
            error = validate(model, vae, held_out, recipe, scale, run.folder / f"sheet-{step:06d}.png")
            run.write_log(step, held_out_error=round(error, 5))

    for step in run.steps(recipe["num_steps"], 500, validate_step):
        rng = np.random.default_rng((seed, step))
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * warmup_cosine(step, recipe["num_steps"], warmup=200)
        latents, condition = training_batch(train, next(batches), recipe, num_classes, rng)
        latents, condition = latents.to(device) * scale, condition.to(device)
        error, weights = denoising_error(model, scheduler, latents, condition, rng)
        loss = (weights * error).mean()
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(loss=loss.item(), velocity_error=error.mean().item())


if __name__ == "__main__":
    main()
