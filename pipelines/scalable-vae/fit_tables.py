"""Fit the integer tables of `sgc_diffusion.bitstream.latents` to the symbols that trained networks choose.

    python pipelines/scalable-vae/fit_tables.py --photos DIR_OF_CACHES --output sgc_diffusion/bitstream/latents.npz

First the entries that add up to a scale, from those that learned with the networks, by Adam on the code length under a
Laplace distribution; then, with the entries rounded, the probabilities of each scale index, counted. The tables are a
part of the file format: they belong to one network.
"""

from __future__ import annotations

import logging
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from crops import Crops
from train_vae import RECIPE, Pass, build_vae

from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.latents import CHANNELS, STRIDES, gamma_log2
from sgc_diffusion.training.data import PhotoCache
from sgc_diffusion.training.latents import ScaleTables, TrainedVae, laplace_bits
from sgc_diffusion.training.loops import load_averaged, recipe_parser

logger = logging.getLogger(__name__)
NUM_SCALES, NUM_UNARY = 64, 15  # scale indices; decisions that have a probability, see `bitstream.latent_symbols`
LEAST = 16  # the lowest probability, in 1/65536
_PENALTY = 0.3  # times the squared entries, in octaves
_STRENGTH = 50.0  # decisions that the Laplace distribution is worth beside the counts
_BATCH = 1 << 17
Samples = list[
    tuple[dict[str, torch.Tensor], torch.Tensor]
]  # of each level: places (n,) with the channel; symbols (n,)


@torch.no_grad()
def collect(model: TrainedVae, crops: Crops, recipe: dict, seed: int) -> Samples:
    """Return the symbols of whole photographs at every γ of the recipe, and where the tables stand for them."""
    rng = np.random.default_rng(seed)
    parts: list[list] = [[] for _ in STRIDES]
    indices = rng.permutation(len(crops.cache))[: recipe["num_photos"]]
    for number, index in enumerate(indices):
        gamma = gamma_log2(recipe["gamma_indices"][number % len(recipe["gamma_indices"])])
        side = int(min(crops.cache.shapes[index])) // 64 * 64
        cell = int(rng.choice(crops.recipe["cell_sides"], p=crops.recipe["cell_weights"]))
        run = Pass(model, crops.central(np.array([index]), side, gamma, cell), len(STRIDES), noisy=False)
        for level, (symbols, places) in enumerate(zip(run.symbols, run.places, strict=True)):
            channels = np.broadcast_to(np.arange(symbols.shape[1]).reshape(1, -1, 1, 1), symbols.shape)
            flat = {name: values.ravel() for name, values in places.items()}
            flat["channel"] = torch.from_numpy(channels.ravel().copy())
            parts[level].append((flat, torch.from_numpy(symbols.ravel())))
        if number % 200 == 0:
            logger.info("%d of %d photographs", number, len(indices))
    return [
        (
            {name: torch.cat([flat[name] for flat, _ in level]) for name in level[0][0]},
            torch.cat([symbols for _, symbols in level]),
        )
        for level in parts
    ]


def flat_scales(tables: ScaleTables, level: int, places: dict[str, torch.Tensor], names: Sequence[str]) -> torch.Tensor:
    """Return log2 of the scales of symbols given one by one, (n,)."""
    total = torch.zeros(())
    for name in names:
        table = tables.tables[name][level]
        total = total + table.reshape(-1)[places["channel"] * table.shape[1] + places[name]]
    return total


def fit_entries(tables: ScaleTables, samples: Samples, recipe: dict, without: Sequence[str] = ()) -> list[float]:
    """Fit the entries in place; return the bits that each level takes.

    Args:
        tables: to start from; those left out are set to 0.
        samples: of `collect`.
        recipe: `[tables]` of the recipe.
        without: names of tables that are left out.
    """
    names = [name for name in contexts.TABLE_SHAPES if name not in without]
    with torch.no_grad():
        for name in without:
            tables.tables[name].zero_()
    parameters = [tables.tables[name] for name in names]
    optimizer = torch.optim.Adam(parameters, lr=recipe["learning_rate"], betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe["num_steps"])
    for _ in range(recipe["num_steps"]):
        loss = torch.zeros(())
        for level, (places, symbols) in enumerate(samples):
            chosen = torch.randint(0, len(symbols), (min(_BATCH // len(samples), len(symbols)),))
            scales = flat_scales(tables, level, {name: values[chosen] for name, values in places.items()}, names)
            bits = laplace_bits(symbols[chosen].float(), scales.clamp(-4, 3.9))
            loss = loss + bits.mean() + _PENALTY / len(symbols) * sum(p[level].pow(2).sum() for p in parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return [
            float(laplace_bits(symbols.float(), flat_scales(tables, level, places, names).clamp(-4, 3.9)).sum())
            for level, (places, symbols) in enumerate(samples)
        ]


def scale_indices(entries: dict[str, np.ndarray], level: int, places: dict[str, torch.Tensor]) -> np.ndarray:
    """Return the scale indices of symbols given one by one, as the coder computes them."""
    channels = places["channel"].numpy()
    sums = sum(entries[name][level][channels, places[name].numpy()].astype(np.int64) for name in contexts.TABLE_SHAPES)
    return np.clip((sums + NUM_SCALES) >> 1, 0, NUM_SCALES - 1)


def count_probabilities(entries: dict[str, np.ndarray], samples: Samples) -> np.ndarray:
    """Return the table `symbol`, (64, 15) uint16: of each scale index, the probability that |symbol| is above k."""
    yes, asked = np.zeros((2, NUM_SCALES, NUM_UNARY))
    for level, (places, symbols) in enumerate(samples):
        scales, sizes = scale_indices(entries, level, places), np.abs(symbols.numpy())
        for k in range(NUM_UNARY):
            yes[:, k] += np.bincount(scales[sizes > k], minlength=NUM_SCALES)
            asked[:, k] += np.bincount(scales[sizes >= k], minlength=NUM_SCALES)
    scale = 2.0 ** ((np.arange(NUM_SCALES) + 0.5) / 8 - 4)[:, None]
    expected = np.where(np.arange(NUM_UNARY) == 0, np.exp(-0.5 / scale), np.exp(-1 / scale))
    shares = (yes + _STRENGTH * expected) / (asked + _STRENGTH)
    return np.clip(np.round(65536 * shares), LEAST, 65536 - LEAST).astype(np.uint16)


def count_bits(entries: dict[str, np.ndarray], symbol: np.ndarray, samples: Samples) -> list[float]:
    """Return the bits that each level takes with integer tables."""
    chances = symbol / 65536
    yes, no = -np.log2(chances), -np.log2(1 - chances)
    totals = []
    for level, (places, symbols) in enumerate(samples):
        scales, sizes = scale_indices(entries, level, places), np.abs(symbols.numpy())
        bits = float((sizes > 0).sum())
        for k in range(NUM_UNARY):
            bits += float(yes[scales[sizes > k], k].sum() + no[scales[sizes == k], k].sum())
        large = sizes[sizes >= NUM_UNARY] - NUM_UNARY + 1
        totals.append(bits + float((2 * np.floor(np.log2(large)) + 1).sum()))
    return totals


def write_tables(tables: dict[str, np.ndarray], path: Path) -> None:
    """Write an .npz file that is the same for the same tables."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(tables):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(tables[name]), allow_pickle=False)


def main() -> None:
    """Read the arguments, collect, fit, and write."""
    parser = recipe_parser(__doc__, RECIPE)
    parser.add_argument("--photos", type=Path, required=True, help="folder with the caches train and val")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    everything = tomllib.loads(arguments.recipe.read_text())
    torch.manual_seed(everything["seed"])
    model = load_averaged(build_vae(everything["vae"]), arguments.runs / "vae" / "checkpoint.pt")
    crops = Crops(PhotoCache(arguments.photos / "train"), everything["training"], everything["vae"]["taxonomy"])
    samples = collect(model, crops, everything["tables"], everything["seed"])
    model.scales.requires_grad_(True)
    floats = fit_entries(model.scales, samples, everything["tables"])
    entries = model.scales.entries()
    symbol = count_probabilities(entries, samples)
    whole = count_bits(entries, symbol, samples)
    for level, channels in enumerate(CHANNELS):
        logger.info(
            "level %d, %d channels: %.0f bytes with float entries, %.0f with integers and counted probabilities",
            level, channels, floats[level] / 8, whole[level] / 8,
        )  # fmt: skip
    write_tables({**entries, "symbol": symbol}, arguments.output)


if __name__ == "__main__":
    main()
