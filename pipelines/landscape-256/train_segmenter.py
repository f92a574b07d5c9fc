"""Train the segmenter of `landscape-256` on the pseudo-labels: image → 24 landscape classes.

    python pipelines/landscape-256/train_segmenter.py [--max-minutes 60]

Resumable: the same command goes on from `runs/landscape-256/segmenter/checkpoint.pt`.
"""

import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from PIL import Image
from torch.nn import functional
from transformers import ResNetConfig, UperNetConfig, UperNetForSemanticSegmentation

from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.training.data import PhotoCache, shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine

RECIPE = Path(__file__).with_name("recipe.toml")


def build_segmenter(recipe: dict, taxonomy_name: str) -> UperNetForSemanticSegmentation:
    """Return the untrained segmenter of the recipe."""
    names = load_taxonomy(taxonomy_name).names
    backbone = ResNetConfig(
        embedding_size=recipe["embedding_size"],
        hidden_sizes=recipe["hidden_sizes"],
        depths=recipe["depths"],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=recipe["head_size"],
        use_auxiliary_head=False,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    return UperNetForSemanticSegmentation(config)


def segmentation_logits(model: UperNetForSemanticSegmentation, images: torch.Tensor) -> torch.Tensor:
    """Return (B, K, H/4, W/4) logits: the network's own resolution, before it upsamples to the image's."""
    return model.decode_head(model.backbone(images).feature_maps)


def load_pair(cache: PhotoCache, index: int, short_side: int) -> tuple[Image.Image, Image.Image]:
    """Return photograph and label map, the photograph's short side at `short_side`, the labels at a quarter of it."""
    photo = Image.fromarray(cache.photo(index))
    scale = short_side / min(photo.size)
    cells = [max(round(side * scale) // 4, short_side // 4) for side in photo.size]
    photo = photo.resize((4 * cells[0], 4 * cells[1]), Image.Resampling.BILINEAR)
    return photo, Image.fromarray(cache.label_map(index)).resize(cells, Image.Resampling.NEAREST)


def training_batch(
    cache: PhotoCache, indices: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (B, 3, side, side), flipped, re-lit and blurred at random, and labels (B, side/4, side/4)."""
    images, labels = [], []
    for index in indices:
        photo, label_map = load_pair(cache, index, int(side * rng.uniform(1.0, 1.25)))
        left, top = (int(rng.integers(0, extent - side // 4 + 1)) for extent in label_map.size)
        cells = (left, top, left + side // 4, top + side // 4)
        photo, label_map = photo.crop(tuple(4 * edge for edge in cells)), label_map.crop(cells)
        if rng.random() < 0.25:  # generated pictures are softer than photographs
            small = photo.resize((side // 2, side // 2), Image.Resampling.BILINEAR)
            photo = small.resize((side, side), Image.Resampling.BILINEAR)
        image = np.asarray(photo, dtype=np.float32) / 127.5 - 1
        image = image * rng.uniform(0.8, 1.2) + rng.uniform(-0.15, 0.15) + rng.normal(0, 0.04, 3)
        flip = -1 if rng.random() < 0.5 else 1
        images.append(image[:, ::flip].astype(np.float32))
        labels.append(np.asarray(label_map)[:, ::flip].astype(np.int64))
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return batch, torch.from_numpy(np.stack(labels))


@torch.no_grad()
def validate(model: UperNetForSemanticSegmentation, cache: PhotoCache, short_side: int) -> dict[str, float]:
    """Return pixel agreement and mean IoU with the pseudo-labels on whole held-out photographs."""
    model.eval()
    num_classes = model.config.num_labels
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    device = next(model.parameters()).device
    for index in range(len(cache)):
        photo, label_map = load_pair(cache, index, short_side)
        image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
        logits = segmentation_logits(model, image)
        predicted = functional.interpolate(logits, label_map.size[::-1], mode="bilinear").argmax(1)[0].cpu().numpy()
        pairs = np.asarray(label_map).astype(np.int64).ravel() * num_classes + predicted.ravel()
        confusion += np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    model.train()
    hits, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    common = confusion.sum(1) > 0.005 * confusion.sum()
    values = {"agreement": hits.sum() / confusion.sum(), "miou_common": (hits[common] / union[common]).mean()}
    return {name: round(float(value), 4) for name, value in values.items()}


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = recipe_parser(__doc__, RECIPE).parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["segmenter"], everything["seed"]
    torch.manual_seed(seed)

    accelerator = Accelerator(mixed_precision="bf16")
    model = build_segmenter(recipe, everything["taxonomy"]).to(accelerator.device, memory_format=torch.channels_last)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["learning_rate"], weight_decay=0.02)
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "segmenter", objects, max_minutes=arguments.max_minutes)
    cache, held_out = PhotoCache(arguments.runs / "train"), PhotoCache(arguments.runs / "val")
    batches = shuffled_batches(len(cache), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average):
            run.write_log(step, **validate(model, held_out, recipe["short_side"]))

    for step in run.steps(recipe["num_steps"], 400, validate_step):
        rng = np.random.default_rng((seed, step))
        optimizer.param_groups[0]["lr"] = recipe["learning_rate"] * warmup_cosine(step, recipe["num_steps"], floor=0.01)
        images, labels = training_batch(cache, next(batches), recipe["short_side"], rng)
        with accelerator.autocast():
            logits = segmentation_logits(model, images.to(accelerator.device)).float()
        labels = labels.to(accelerator.device)
        loss = functional.cross_entropy(logits, labels, label_smoothing=recipe["label_smoothing"])
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(loss=loss.item(), agreement=(logits.argmax(1) == labels).float().mean().item())


if __name__ == "__main__":
    main()
