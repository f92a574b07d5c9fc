"""Train the segmenter of `general-256` on the pseudo-labels: image → 54 classes.

    photograph ──EfficientNet-Lite0 (ImageNet)──▶ maps at strides 8, 16, 32 ──UperNet──▶ logits ──▶ label map

What a depthwise convolution has learned stays as it is: its gradient would cost more than everything else.

    python pipelines/general-256/train_segmenter.py [--max-minutes 60]

Resumable: the same command goes on from `runs/general-256/segmenter/checkpoint.pt`.
"""

import tomllib
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from PIL import Image
from torch import nn
from torch.nn import functional
from transformers import TimmBackboneConfig, UperNetConfig, UperNetForSemanticSegmentation

from sgc_diffusion.features.efficientnet_lite import load_efficientnet_lite
from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.training.data import PhotoCache, merged_classes, shuffled_batches
from sgc_diffusion.training.loops import TrainingRun, averaged, recipe_parser, warmup_cosine

RECIPE = Path(__file__).with_name("recipe.toml")
STRIDE = 8  # pixels a logit


def build_segmenter(recipe: dict) -> UperNetForSemanticSegmentation:
    """Return the segmenter of the recipe: its backbone as ImageNet made it, its head untrained."""
    names = load_taxonomy(recipe["taxonomy"]).names
    backbone = TimmBackboneConfig(
        backbone="tf_efficientnet_lite0", use_pretrained_backbone=False, features_only=True, out_indices=(2, 3, 4)
    )
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=recipe["head_size"],
        use_auxiliary_head=False,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    model = UperNetForSemanticSegmentation(config)
    weights = load_efficientnet_lite().network.state_dict()
    model.backbone._backbone.load_state_dict(
        {name: value for name, value in weights.items() if name.split(".")[0] not in ("conv_head", "bn2", "classifier")}
    )
    return model


def trained_parameters(model: UperNetForSemanticSegmentation, recipe: dict) -> list[dict]:
    """Freeze what stays as ImageNet made it; return the optimizer's groups."""
    network = model.backbone._backbone
    network.requires_grad_(False)
    for block in network.blocks[recipe["num_frozen_blocks"] :]:
        block.requires_grad_(True)
        for module in block.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                module.requires_grad_(False)
    backbone = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": list(model.decode_head.parameters()), "share": 1.0},
        {"params": backbone, "share": recipe["backbone_share"]},
    ]


def training_mode(model: UperNetForSemanticSegmentation) -> None:
    """Train the head's norms on the batch; those of the backbone keep ImageNet's statistics."""
    model.train()
    model.backbone.eval()


def segmentation_logits(model: UperNetForSemanticSegmentation, images: torch.Tensor) -> torch.Tensor:
    """Return (B, K, H/8, W/8) logits: the network's own resolution, before it upsamples to the image's."""
    with torch.autocast(images.device.type, enabled=False):  # depthwise convolutions are slow in bfloat16
        maps = model.backbone(images).feature_maps
    return model.decode_head(maps).float()


def load_pair(cache: PhotoCache, index: int, short_side: int) -> tuple[Image.Image, Image.Image]:
    """Return photograph and label map, the photograph's short side at `short_side`, a label for each logit."""
    photo = Image.fromarray(cache.photo(index))
    scale = short_side / min(photo.size)
    cells = [max(round(side * scale) // STRIDE, short_side // STRIDE) for side in photo.size]
    photo = photo.resize((STRIDE * cells[0], STRIDE * cells[1]), Image.Resampling.BILINEAR)
    return photo, Image.fromarray(cache.label_map(index)).resize(cells, Image.Resampling.NEAREST)


def training_batch(
    cache: PhotoCache, indices: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return crops (B, 3, side, side), flipped, re-lit and blurred at random, and ADE20K labels (B, side/8, side/8)."""
    images, labels = [], []
    for index in indices:
        photo, label_map = load_pair(cache, index, int(side * rng.uniform(1.0, 1.35)))
        left, top = (int(rng.integers(0, extent - side // STRIDE + 1)) for extent in label_map.size)
        cells = (left, top, left + side // STRIDE, top + side // STRIDE)
        photo, label_map = photo.crop(tuple(STRIDE * edge for edge in cells)), label_map.crop(cells)
        if rng.random() < 0.2:  # generated pictures are softer than photographs
            small = photo.resize((side // 2, side // 2), Image.Resampling.BILINEAR)
            photo = small.resize((side, side), Image.Resampling.BILINEAR)
        image = np.asarray(photo, dtype=np.float32) / 127.5 - 1
        image = image * rng.uniform(0.8, 1.2) + rng.uniform(-0.15, 0.15) + rng.normal(0, 0.04, 3)
        flip = -1 if rng.random() < 0.5 else 1
        images.append(image[:, ::flip].astype(np.float32))
        labels.append(np.asarray(label_map)[:, ::flip])
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return batch, torch.from_numpy(np.stack(labels))


def class_weights(cache: PhotoCache, table: np.ndarray, power: float) -> torch.Tensor:
    """Return (K,) weights: the rarity of each class to a power, 1 for the median pixel, at most 3."""
    counts = np.zeros(table.max() + 1)
    for index in range(0, len(cache), 7):
        counts += np.bincount(table[cache.label_map(index)[::4, ::4]].ravel(), minlength=len(counts))
    share = counts / counts.sum()
    order = np.argsort(share)
    median = share[order][np.searchsorted(np.cumsum(share[order]), 0.5)]
    return torch.from_numpy(np.clip((median / np.maximum(share, 1e-6)) ** power, None, 3)).float()


@torch.no_grad()
def validate(
    model: UperNetForSemanticSegmentation, cache: PhotoCache, recipe: dict, coarser: str = "landscape-24"
) -> dict[str, float]:
    """Return pixel agreement and mean IoU with the pseudo-labels on whole held-out photographs, by kind.

    Landscapes are compared in the classes of `coarser`, which earlier segmenters knew.
    """
    model.eval()
    own, device = recipe["taxonomy"], next(model.parameters()).device
    values = {}
    for kind, taxonomy in (("general", own), ("landscape", coarser)):
        truth, merge = merged_classes(taxonomy), class_table(own, taxonomy).astype(np.int64)
        count = load_taxonomy(taxonomy).num_classes
        confusion = np.zeros((count, count), dtype=np.int64)
        for index in np.flatnonzero(np.char.startswith(cache.keys, "gen-") == (kind == "general")):
            photo, _ = load_pair(cache, index, recipe["short_side"])
            image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
            label_map = truth[cache.label_map(index)[::2, ::2]]
            logits = functional.interpolate(segmentation_logits(model, image), label_map.shape, mode="bilinear")
            pairs = label_map * count + merge[logits.argmax(1)[0].cpu().numpy()]
            confusion += np.bincount(pairs.ravel(), minlength=count**2).reshape(count, count)
        hits, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
        common = confusion.sum(1) > 0.005 * confusion.sum()
        values[f"agreement_{kind}"] = round(float(hits.sum() / confusion.sum()), 4)
        values[f"miou_common_{kind}"] = round(float((hits[common] / union[common]).mean()), 4)
    training_mode(model)
    return values


def main() -> None:
    """Train until the recipe's step count or the deadline."""
    arguments = recipe_parser(__doc__, RECIPE).parse_args()
    everything = tomllib.loads(arguments.recipe.read_text())
    recipe, seed = everything["segmenter"], everything["seed"]
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16")
    model = build_segmenter(recipe).to(accelerator.device)
    groups = trained_parameters(model, recipe)
    training_mode(model)
    optimizer = torch.optim.AdamW(groups, lr=recipe["learning_rate"], weight_decay=0.02)
    average = EMAModel(model.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    objects = {"model": model, "optimizer": optimizer, "average": average}
    run = TrainingRun(arguments.runs / "segmenter", objects, max_minutes=arguments.max_minutes)
    cache, held_out = PhotoCache(arguments.runs / "train"), PhotoCache(arguments.runs / "val")
    table = merged_classes(recipe["taxonomy"])
    weights = class_weights(cache, table, recipe["balance"]).to(accelerator.device)
    batches = shuffled_batches(len(cache), recipe["batch_size"], seed, run.step)

    def validate_step(step: int) -> None:
        with averaged(model, average):
            run.write_log(step, **validate(model, held_out, recipe))

    for step in run.steps(recipe["num_steps"], 500, validate_step):
        rng = np.random.default_rng((seed, step))
        factor = warmup_cosine(step, recipe["num_steps"], warmup=recipe["warmup"], floor=0.01)
        for group in optimizer.param_groups:
            group["lr"] = recipe["learning_rate"] * group["share"] * factor
        images, labels = training_batch(cache, next(batches), recipe["short_side"], rng)
        labels = torch.from_numpy(table[labels.numpy()]).to(accelerator.device)
        with accelerator.autocast():
            logits = segmentation_logits(model, images.to(accelerator.device))
        loss = functional.cross_entropy(logits, labels, weight=weights, label_smoothing=recipe["label_smoothing"])
        accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        run.log(loss=loss.item(), agreement=(logits.argmax(1) == labels).float().mean().item())


if __name__ == "__main__":
    main()
