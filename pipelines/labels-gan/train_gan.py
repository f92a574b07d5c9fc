"""Train the GAN decoder `labels-gan`: what draws, and what makes the color maps that it draws best from.

    photograph ──▶ CompNet ──▶ color map ──coded──▶ likeness ─┐
         └──▶ means, maybe detail levels ─────────▶ likeness ─┴─labels, noise──▶ FineNet ──▶ picture ──▶ losses, critics

    python pipelines/labels-gan/train_gan.py --photos runs/general-256 --features vgg19.safetensors
        [--configuration ours|dsslic] [--max-minutes 60]

`dsslic` has the losses of DSSLIC as published (`training.dsslic`), `ours` distances in the features of two networks and
a critic that knows the labels (`training.picture_critics`). Resumable: the same command goes on.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from crops import Batch, Crops
from diffusers.training_utils import EMAModel
from torch import nn

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.compact_image import CompactNetwork
from sgc_diffusion.payload import ColorLayer
from sgc_diffusion.synthesis.gan import LabelGenerator
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.compact import coded, enlarged, estimated_bits, matched
from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.dsslic import DsslicLosses
from sgc_diffusion.training.likenesses import FileChoice
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine, write_sheet
from sgc_diffusion.training.losses import PerceptualLoss
from sgc_diffusion.training.picture_critics import PictureCritics

RECIPE = Path(__file__).with_name("recipe.toml")
CONFIGURATIONS = ("ours", "dsslic")
VALIDATED = {"colors": FileChoice(16, 32, None), "detail": FileChoice(16, 32, 3)}
VALIDATED_SIDE = 256  # pixels


def build_networks(everything: dict) -> nn.ModuleDict:
    """Return the untrained networks of the recipe: `generator` and `compact`."""
    num_classes = load_taxonomy(everything["taxonomy"]).num_classes
    return nn.ModuleDict(
        {
            "generator": LabelGenerator(num_classes, **everything["generator"]),
            "compact": CompactNetwork(**everything["compact"]),
        }
    )


class Drawing:
    """Pictures drawn from a batch, with what gradients need.

    Args:
        model: of `build_networks`.
        batch: whose first `num_compact` pictures get learned color maps if `learned`.
        learned: False draws all from means.

    Attributes:
        pictures: (B, 3, H, W) float32.
        likeness: (B, 3, H, W) float32 in [−1, 1], what they were drawn from.
        color_maps: (N, 3, h, w) float32 in [−1, 1], the learned ones as decoders see them; None for none.
        excess: bits a coefficient by which they are larger than means would be, 0 or more; None for none.
    """

    def __init__(self, model: nn.ModuleDict, batch: Batch, *, learned: bool) -> None:
        count, self.likeness = batch.num_compact if learned else 0, batch.likeness
        self.color_maps: torch.Tensor | None = None
        self.excess: torch.Tensor | None = None
        if count:
            self.likeness = torch.cat([self._make_compact(model, batch, count), batch.likeness[count:]])
        drawn = model["generator"](batch.labels, self.likeness, batch.fidelity, batch.noise).float()
        if self.color_maps is not None:
            drawn = torch.cat([matched(drawn[:count], self.color_maps), drawn[count:]])
        self.pictures = drawn

    def _make_compact(self, model: nn.ModuleDict, batch: Batch, count: int) -> torch.Tensor:
        """Return the smooth bases of learned color maps."""
        photos, size = batch.photos[:count], batch.photos.shape[-2:]
        grid, qualities = batch.files[0].grid(*size), [file.color_quality for file in batch.files[:count]]
        compact = model["compact"](photos, *grid).float()
        self.color_maps = coded(compact, qualities)
        means = nn.functional.adaptive_avg_pool2d(photos, grid)
        larger = estimated_bits(compact, qualities) - estimated_bits(means, qualities)
        self.excess = larger.relu().mean() / means[0].numel()
        return enlarged(self.color_maps, *size)


class Losses:
    """The losses of a configuration.

    Args:
        name: one of `CONFIGURATIONS`.
        recipe: of the configuration.
        features: file of a VGG19.
        num_classes: of the labels.
        device: of the networks.
    """

    def __init__(self, name: str, recipe: dict, features: Path, num_classes: int, device: torch.device) -> None:
        make = DsslicLosses if name == "dsslic" else PictureCritics
        self._judge = make(features, recipe, num_classes, device)
        self._start = recipe.get("adversarial_start", 0)

    def objects(self) -> dict:
        """Return what a checkpoint must hold."""
        judge = self._judge
        critic = judge.discriminators if isinstance(judge, DsslicLosses) else judge.projected
        return {"critic": critic, "critic_optimizer": judge.optimizer}

    def gradient(self, drawing: Drawing, batch: Batch, step: int) -> tuple[torch.Tensor, dict]:
        """Return the gradient at the drawn pictures, and the terms of the loss; the critics take a step."""
        drawn = drawing.pictures, batch.photos, batch.labels
        if isinstance(self._judge, DsslicLosses):
            return self._judge.gradient(*drawn, drawing.likeness.detach())
        return self._judge.gradient(*drawn, step >= self._start)


@torch.no_grad()
def validate(model: nn.ModuleDict, crops: Crops, indices: np.ndarray, vgg: PerceptualLoss, path: Path) -> dict:
    """Return PSNR (dB), gradients relative to the originals' and VGG distance by kind of file; write a sheet.

    Of color maps it tells bytes and distances of learned ones beside those of means.
    """
    device, values, rows = next(model.parameters()).device, {}, []
    for kind, file in VALIDATED.items():
        batch = crops.central(indices, VALIDATED_SIDE, file).to(device)
        for learned in (False, True) if batch.num_compact else (False,):
            drawing = Drawing(model, batch, learned=learned)
            pictures, name = drawing.pictures.clamp(-1, 1), "compact" if learned else kind
            error = ((pictures - batch.photos) / 2).pow(2).mean(dim=(1, 2, 3))
            slopes = [each.mean(dim=1).diff(dim=-1).abs().mean(dim=(1, 2)) for each in (pictures, batch.photos)]
            values[f"psnr_{name}"] = (-10 * error.log10()).mean()
            values[f"gradients_{name}"] = (slopes[0] / slopes[1]).median()
            values[f"vgg_{name}"] = vgg(pictures, batch.photos)
            if batch.num_compact:
                color_maps = (
                    drawing.color_maps
                    if learned
                    else nn.functional.adaptive_avg_pool2d(batch.photos, file.grid(VALIDATED_SIDE, VALIDATED_SIDE))
                )
                values[f"bytes_{name}"] = color_bytes(color_maps, file.color_quality)
            rows += [] if rows else [batch.photos[:8]]
            rows += [drawing.likeness[:8], pictures[:8]]
    write_sheet(rows, path)
    return {name: round(float(value), 4) for name, value in values.items()}


def color_bytes(color_maps: torch.Tensor, quality: int) -> float:
    """Return how many bytes the color layers of color maps (B, 3, h, w) in [−1, 1] take, on average."""
    pixels = ((color_maps.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    before = bitstream.DecodedLayers(1, 1)
    sizes = [bitstream.layer_size_bytes(ColorLayer.from_color_map(each, quality), before=before) for each in pixels]
    return sum(sizes) / len(sizes)


def options() -> argparse.Namespace:
    """Read the arguments."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--photos", type=Path, required=True, help="folder with the caches train and val")
    parser.add_argument("--features", type=Path, required=True, help="VGG19 weights for the perceptual loss")
    parser.add_argument("--configuration", choices=CONFIGURATIONS, default=CONFIGURATIONS[0])
    parser.add_argument("--validate-every", type=int, default=500, help="steps")
    return parser.parse_args()


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = options()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed, taxonomy = everything[arguments.configuration], everything["seed"], everything["taxonomy"]
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    device = accelerator.device
    model = build_networks(everything).to(device, memory_format=torch.channels_last)
    losses = Losses(arguments.configuration, recipe, arguments.features, load_taxonomy(taxonomy).num_classes, device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe["learning_rate"], betas=tuple(recipe["betas"]), weight_decay=0.0
    )
    average = EMAModel(model.parameters(), decay=0.999, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average, **losses.objects()}
    folder = arguments.runs / arguments.configuration
    run = TrainingRun(folder, objects, max_minutes=arguments.max_minutes, save_every=100)
    train, val = PhotoCache(arguments.photos / "train"), PhotoCache(arguments.photos / "val")
    cut = everything["crops"] | everything["likeness"] | {"taxonomy": taxonomy}
    crops, held_out, vgg = Crops(train, cut), Crops(val, cut), PerceptualLoss(arguments.features).to(device)
    chosen = np.linspace(0, len(val) - 1, min(24, len(val))).astype(np.int64)
    batches = shuffled_batches(len(train), cut["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average), accelerator.autocast():
            path = run.folder / f"sheet-{step:06d}.png"
            run.write_log(step, **validate(model, held_out, chosen, vgg, path))

    for step in run.steps(recipe["num_steps"], arguments.validate_every, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"], warmup=recipe["warmup"])
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * factor
        batch = crops.random(next(batches), rng).to(device)
        with accelerator.autocast():
            drawing = Drawing(model, batch, learned=True)
            gradient, terms = losses.gradient(drawing, batch, step)
        tensors, gradients = [drawing.pictures], [gradient]
        if drawing.excess is not None:
            tensors.append(recipe["rate_weight"] * drawing.excess)
            gradients.append(torch.ones_like(drawing.excess))
            terms["excess_bits"] = drawing.excess
        torch.autograd.backward(tensors, gradients)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(**{name: term.item() for name, term in terms.items()})


if __name__ == "__main__":
    main()
