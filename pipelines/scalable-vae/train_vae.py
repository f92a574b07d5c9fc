"""Train the hierarchical VAE: every rate, any cut, one network.

    photographs, labels, colors, γ ──▶ symbols of four levels ──▶ pictures;  loss: bits a number + γ · distortion

    python pipelines/scalable-vae/train_vae.py --photos DIR_OF_CACHES [--max-minutes 60]

The caches are those of `pipelines/general-256/prepare.py`. Resumable: the same command goes on from
`runs/scalable-vae/vae/checkpoint.pt`.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from crops import Batch, Crops
from diffusers.training_utils import EMAModel

from sgc_diffusion.analysis.latent_encoder import LatentEncoder
from sgc_diffusion.features.efficientnet_lite import load_efficientnet_lite
from sgc_diffusion.payload.latents import STRIDES
from sgc_diffusion.synthesis.vae import LatentDecoder
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.latents import TrainedVae, laplace_bits, symbol_places
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import PerceptualLoss
from sgc_diffusion.training.si_ssim import block_importance, si_ssim_loss

RECIPE = Path(__file__).with_name("recipe.toml")
VALIDATION_GAMMAS = (-1.0, 1.0, 3.0, 5.0, 8.0)  # log2
NATS_PER_BIT = 0.6931471805599453


def build_vae(recipe: dict) -> TrainedVae:
    """Return the untrained networks of the recipe."""
    decoder = LatentDecoder(
        num_classes=load_taxonomy(recipe["taxonomy"]).num_classes,
        widths=recipe["widths"],
        depths=recipe["depths"],
        fine_width=recipe["fine_width"],
        fine_depth=recipe["fine_depth"],
        label_channels=recipe["label_channels"],
        gamma_channels=recipe["gamma_channels"],
    )
    encoder = LatentEncoder(
        decoder_widths=recipe["widths"],
        widths=recipe["encoder_widths"],
        depths=recipe["encoder_depths"],
        fine_width=recipe["fine_width"],
        gamma_channels=recipe["gamma_channels"],
    )
    return TrainedVae(encoder, decoder)


class Pass:
    """One way through the networks: symbols, what they cost, what they give.

    Args:
        model: the networks.
        batch: pictures and what is known of them.
        kept: how many levels are there.
        noisy: whether bits are those of noisy residuals, which have a gradient, or of the symbols.
        without: names of tables that are left out.

    Attributes:
        bits: of each level that is there, (B,).
        float_bits: the same with a network's scales.
        symbols: of each level, (B, C, h, w) int64.
        places: of each level, table → (B, C, h, w) int64.
        decoded: (B, 3, H, W) float32.
    """

    def __init__(
        self, model: TrainedVae, batch: Batch, kept: int, *, noisy: bool, without: tuple[str, ...] = ()
    ) -> None:
        self._model, self._batch, self._kept, self._noisy, self._without = model, batch, kept, noisy, without
        self.bits: list[torch.Tensor] = []
        self.float_bits: list[torch.Tensor] = []
        self.symbols: list[np.ndarray] = []
        self.places: list[dict[str, torch.Tensor]] = []
        self._own = model.encoder(batch.pictures, batch.conditions.base, batch.conditions.gamma_log2)
        self.decoded = model.decoder.walk(batch.conditions, self._choose).float()

    def _choose(
        self, level: int, features: torch.Tensor, mean: torch.Tensor, gain: torch.Tensor
    ) -> torch.Tensor | None:
        if level >= self._kept:
            return None
        latents = self._model.encoder.choose(level, self._own[level], features)
        residuals = (latents.float() - mean.float()) * gain.float()
        rounded = residuals.round()
        symbols = rounded.detach().cpu().numpy().astype(np.int64)
        coarser = self.symbols[-1] if self.symbols else None
        places = symbol_places(symbols, coarser, self._batch.given[level])
        self.symbols.append(symbols)
        self.places.append(places)
        coded = residuals + torch.rand_like(residuals) - 0.5 if self._noisy else rounded
        scales = self._model.scales(level, places, self._without)
        self.bits.append(laplace_bits(coded, scales).sum(dim=(1, 2, 3)))
        floats = self._model.float_scales(level, features, gain)
        self.float_bits.append(laplace_bits(coded.detach(), floats).sum(dim=(1, 2, 3)))
        return residuals + (rounded - residuals).detach()


class Distortion:
    """How far decoded pictures are from the originals, by the recipe's weights.

    Args:
        recipe: `[training]`.
        features: file of a VGG19, needed if the recipe weighs it.
    """

    def __init__(self, recipe: dict, features: Path | None) -> None:
        self._si_ssim, self._perceptual = recipe["si_ssim_weight"], recipe["perceptual_weight"]
        self._classifier = load_efficientnet_lite() if self._si_ssim else None
        if self._perceptual and features is None:
            raise ValueError("`--features` is missing: the recipe weighs VGG19 features; give the file of the weights")
        self._network = PerceptualLoss(features) if self._perceptual and features else None

    def __call__(self, decoded: torch.Tensor, pictures: torch.Tensor, gamma_log2: torch.Tensor) -> torch.Tensor:
        """Return γ · distortion of each picture, (B,)."""
        gamma = torch.exp2(gamma_log2)
        error = (decoded - pictures).pow(2).mean(dim=1, keepdim=True)
        if gamma.shape[-1] > 1:
            error = torch.nn.functional.avg_pool2d(error, STRIDES[-1])
        total = (gamma * error).mean(dim=(1, 2, 3))
        mean = gamma.mean(dim=(1, 2, 3))
        if self._classifier is not None:
            importance = block_importance(self._classifier, pictures)
            total = total + self._si_ssim * mean * si_ssim_loss(decoded, pictures, importance)
        if self._network is not None:
            total = total + self._perceptual * mean * self._network(decoded, pictures)
        return total


@torch.no_grad()
def validate(model: TrainedVae, crops: Crops, indices: np.ndarray, path: Path) -> dict[str, float]:
    """Return bytes, PSNR (dB) and the share of each level at a few γ on 256² pictures; write a sheet."""
    values, rows = {}, []
    for gamma in VALIDATION_GAMMAS:
        batch = crops.central(indices, 256, gamma)
        run = Pass(model, batch, len(STRIDES), noisy=False)
        bits = torch.stack(run.bits)
        error = ((run.decoded.clamp(-1, 1) - batch.pictures) / 2).pow(2).mean(dim=(1, 2, 3))
        values |= {
            f"bytes_{gamma:g}": bits.sum(dim=0).mean() / 8,
            f"float_bytes_{gamma:g}": torch.stack(run.float_bits).sum(dim=0).mean() / 8,
            f"psnr_{gamma:g}": (-10 * error.log10()).mean(),
        }
        shares = bits.sum(dim=1) / bits.sum()
        values |= {f"level{level}_{gamma:g}": share for level, share in enumerate(shares)}
        rows = rows or [batch.pictures[:8], batch.conditions.base[:8]]
        rows.append(run.decoded[:8])
    write_sheet(rows, path)
    return {name: round(float(value), 4) for name, value in values.items()}


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--photos", type=Path, required=True, help="folder with the caches train and val")
    parser.add_argument("--features", type=Path, help="VGG19 weights, if the recipe weighs them")
    parser.add_argument("--validate-every", type=int, default=1000, help="steps")
    return parser.parse_args()


def training_loss(run: Pass, batch: Batch, distortion: Distortion, recipe: dict) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the loss of a pass, and what is logged of it."""
    gamma = batch.conditions.gamma_log2
    weighed = distortion(run.decoded, batch.pictures, gamma)
    bits = torch.stack(run.bits).sum(dim=0)
    nats = NATS_PER_BIT * bits / batch.pictures[0].numel()
    scale = torch.exp2(gamma).mean(dim=(1, 2, 3)) ** -recipe["gamma_power"]
    loss = ((nats + weighed) * scale).mean()
    floats = torch.stack(run.float_bits).sum(dim=0)
    beside = NATS_PER_BIT * floats.mean() / batch.pictures[0].numel()
    return loss + beside, {"loss": loss.detach(), "bits": bits.mean().detach(), "float_bits": floats.mean().detach()}


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = options()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["training"], everything["seed"]
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    model = build_vae(everything["vae"]).to(memory_format=torch.channels_last)
    distortion = Distortion(recipe, arguments.features)
    groups = [
        {"params": [*model.encoder.parameters(), *model.decoder.parameters()], "share": 1.0},
        {"params": list(model.float_scales.parameters()), "share": 1.0},
        {"params": list(model.scales.parameters()), "share": recipe["table_share"], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe["learning_rate"], betas=(0.9, 0.99), weight_decay=1e-4)
    average = EMAModel(model.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "vae", objects, max_minutes=arguments.max_minutes)
    taxonomy = everything["vae"]["taxonomy"]
    cache, val = PhotoCache(arguments.photos / "train"), PhotoCache(arguments.photos / "val")
    crops, held_out = Crops(cache, recipe, taxonomy), Crops(val, recipe, taxonomy)
    chosen = np.linspace(0, len(val) - 1, min(16, len(val))).astype(np.int64)
    batches = shuffled_batches(len(cache), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average), accelerator.autocast():
            run.write_log(step, **validate(model, held_out, chosen, run.folder / f"sheet-{step:06d}.png"))

    for step in run.steps(recipe["num_steps"], arguments.validate_every, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"], warmup=recipe["warmup"])
        for group in optimizer.param_groups:
            group["lr"] = recipe["learning_rate"] * factor * group["share"]
        batch = crops.random(next(batches), rng)
        kept = int(rng.integers(1, len(STRIDES))) if rng.random() < recipe["cut_share"] else len(STRIDES)
        with accelerator.autocast():
            loss, values = training_loss(Pass(model, batch, kept, noisy=True), batch, distortion, recipe)
        accelerator.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(**{name: float(value) for name, value in values.items()}, gradient=float(norm))


if __name__ == "__main__":
    main()
