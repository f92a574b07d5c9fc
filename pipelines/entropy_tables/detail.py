"""Fit the tables of `sgc_diffusion.bitstream.detail` and write `detail_tables.npz`.

    python pipelines/entropy_tables/detail.py --photos DIR --output sgc_diffusion/bitstream/detail_tables.npz

The tables are part of the file format: with others, the levels of this version cannot be read. `tests/bitstream` pins
them. Photographs that were compressed before lack the noise of a camera: most are made smaller, some get noise. Half
are JPEG files at the end, as those are that people have.
"""

from __future__ import annotations

import argparse
import io
import logging
import math
import random
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import detail_weights
import numpy as np
import torch
from PIL import Image
from train import write_tables

from sgc_diffusion.bitstream.detail import code_choices
from sgc_diffusion.bitstream.detail_context import TABLE_SHAPES, Groups
from sgc_diffusion.bitstream.detail_planes import PlaneCoder
from sgc_diffusion.payload import detail_bands as geometry
from sgc_diffusion.payload import picture_transform
from sgc_diffusion.payload.detail_coefficients import known_coefficients

logger = logging.getLogger(__name__)
UNITS_PER_NAT = 32
NOWHERE = sum(math.prod(shape) for shape in TABLE_SHAPES.values())  # the place of no table, whose entry stays 0
_MOST_TABLES = 7  # that one decision adds up
_PENALTY = 0.3  # times the squared entries in nats
_BATCH = 1 << 18
LOSSLESS_SHARE = 0.55  # of the photographs that are coded for lossless files
Places = tuple[np.ndarray, np.ndarray, float]  # (n, tables) int32 in the joined tables, answers (n,), weight of each


def read_photos(folder: Path, num_photos: int) -> Iterator[np.ndarray]:
    """Yield photographs, (H, W, 3) uint8, spread over the shards and altered."""
    shards = sorted(folder.glob("train-*.tar"))
    every = random.Random(0)
    photos = []
    for shard in shards:
        with tarfile.open(shard) as archive:
            members = [member for member in archive.getmembers() if member.name.endswith(".webp")]
            for member in every.sample(members, min(num_photos // len(shards) + 1, len(members))):
                photos.append(np.asarray(Image.open(archive.extractfile(member)).convert("RGB")))
    every.shuffle(photos)
    for photo in photos[:num_photos]:
        yield alter(photo, every)


def alter(photo: np.ndarray, choice: random.Random) -> np.ndarray:
    """Return a photograph made smaller, with noise, or through JPEG, by chance."""
    image = Image.fromarray(photo)
    factor = choice.choice((1.0, choice.uniform(0.45, 0.75), choice.uniform(0.45, 0.75), choice.uniform(0.75, 1)))
    if factor < 1:
        sides = [max(32, round(side * factor)) for side in image.size]
        filters = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.BOX)
        image = image.resize(sides, choice.choice(filters))
    kind = choice.random()
    if kind < 0.25:
        noise, sigma = np.random.default_rng(choice.randrange(1 << 30)), choice.uniform(0.5, 4)
        grain = noise.normal(0, sigma, (image.height, image.width, 1))
        grain = grain + noise.normal(0, sigma * 0.6, (image.height, image.width, 3))
        return np.clip(np.round(np.asarray(image) + grain), 0, 255).astype(np.uint8)
    if kind < 0.75:
        stream = io.BytesIO()
        quality = choice.choice((75, 80, 85, 88, 90, 92, 93, 95, 97))
        image.save(stream, "jpeg", quality=quality, subsampling=choice.choice((0, 0, 1, 2, 2)))
        left, top = choice.randrange(2), choice.randrange(2)
        return np.asarray(Image.open(stream).convert("RGB"))[top:, left:]
    return np.asarray(image)


def color_map_of(photo: np.ndarray, longest: int) -> np.ndarray:
    """Return a color map whose longer side has so many cells."""
    height, width = photo.shape[:2]
    sides = [max(1, round(side * longest / max(height, width))) for side in (width, height)]
    return np.asarray(Image.fromarray(photo).resize(sides, Image.Resampling.BOX))


class Recorder:
    """Answers with the truth and notes a share of the decisions, with their places in the joined tables."""

    def __init__(self, share: float, seed: int) -> None:
        self.noted: dict[str, list[Places]] = defaultdict(list)
        self._share, self._chance = share, np.random.default_rng(seed)
        self._kind = ""

    def weigh(self, groups: Groups) -> np.ndarray:
        """Return the places, (n, tables) int32."""
        self._kind = groups[0][0][0][0].split("_")[0]
        columns = [
            joined_place(name, constants) + places.astype(np.int32)
            for sources, places in groups
            for name, constants in sources
        ]
        columns += [np.full_like(columns[0], NOWHERE)] * (_MOST_TABLES - len(columns))
        return np.stack(columns, axis=1)

    def expect(self, num_decisions: int) -> None:
        """Anything may come."""

    def answer(self, weighed: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Note and return the truth."""
        kind, share = self._kind, 1.0
        if len(truth) > 50 and kind in ("energy", "sign"):
            share = self._share
            chosen = self._chance.random(len(truth)) < share
            self.noted[kind].append((weighed[chosen], truth[chosen], 1 / share))
        else:
            self.noted[kind].append((weighed, truth, 1.0))
        return truth


def joined_place(name: str, constants: tuple[int, ...]) -> int:
    """Return where the row of some constants starts when all tables stand one after the other."""
    start = 0
    for other, shape in TABLE_SHAPES.items():
        if other == name:
            row = np.ravel_multi_index(constants, shape[:-1])
            return start + int(row) * shape[-1]
        start += int(np.prod(shape))
    raise KeyError(name)


def walk(
    photo: np.ndarray,
    decider: Recorder,
    weights: np.ndarray,
    choice: random.Random,
    coder_class: type[PlaneCoder] = PlaneCoder,
) -> None:
    """Code a photograph in all levels, or in a few, through a decider."""
    color_map = color_map_of(photo, choice.choice((8, 12, 16, 16, 24, 32)))
    channels, choices = picture_transform.forward(photo, color_map, is_for_lossless=choice.random() < LOSSLESS_SHARE)
    bands = geometry.make_bands(*photo.shape[:2], kind=choices.kind)
    flat = [[band for scale in channel for band in scale] for channel in channels]
    truth = [geometry.to_phases(flat[index % 3][index // 3]) for index in range(len(bands))]
    code_choices(decider, choices)

    def find_lows(known: list[geometry.Band]) -> list[np.ndarray]:
        return picture_transform.chroma_lows(known_coefficients(known), choices, color_map, *photo.shape[:2])

    coder = coder_class(bands, decider, weights, truth, find_lows)
    few = choice.random() < 0.3
    for level in range(geometry.NUM_LEVELS):
        if level == geometry.NUM_LEVELS - 1 or not few or choice.random() < 0.2:
            coder.code_level(level)


def fit(noted: list[Places], start: np.ndarray, *, num_steps: int = 240, learning_rate: float = 0.15) -> np.ndarray:
    """Return the joined tables that code the noted decisions best, by Adam on batches.

    Args:
        noted: of a `Recorder`.
        start: joined tables, (NOWHERE,) float32 in nats, that entries start from and stay near to.
        num_steps: of Adam.
        learning_rate: at the start; lowered twice.

    Returns:
        As `start`.
    """
    places = torch.from_numpy(np.concatenate([part for part, _, _ in noted]))
    answers = torch.from_numpy(np.concatenate([part for _, part, _ in noted]).astype(np.float32))
    shares = torch.from_numpy(np.concatenate([np.full(len(part), weight, np.float32) for _, part, weight in noted]))
    prior = torch.from_numpy(np.append(start, np.float32(0)))
    entries = prior.clone().requires_grad_()
    optimizer = torch.optim.Adam([entries], lr=learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [num_steps // 2, num_steps * 4 // 5], gamma=0.3)
    for _ in range(num_steps):
        chosen = torch.randint(0, len(answers), (min(_BATCH, len(answers)),))
        odds = entries[places[chosen].long()].sum(dim=1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, answers[chosen], reduction="none")
        mean = (loss * shares[chosen]).sum() / shares[chosen].sum()
        optimizer.zero_grad()
        (mean + _PENALTY / shares.sum() * ((entries - prior) ** 2).sum()).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            entries[NOWHERE] = 0
    logger.info("%d decisions, %.4f bits each", len(answers), mean.item() / np.log(2))
    return entries.detach().numpy()[:NOWHERE]


def main() -> None:
    """Read the arguments, fit, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder of train-*.tar")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--num-photos", type=int, default=300)
    parser.add_argument("--share", type=float, default=0.08, help="of the frequent decisions that is kept")
    parser.add_argument(
        "--start", type=Path, help="tables that the fit starts from, whose weights of features are kept"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    photos = list(read_photos(arguments.photos, arguments.num_photos))
    start = np.zeros(NOWHERE, dtype=np.float32)
    if arguments.start:
        tables = np.load(arguments.start)
        weights = tables["weights"]
        start = np.concatenate([tables[name].ravel() for name in TABLE_SHAPES]).astype(np.float32) / UNITS_PER_NAT
    else:
        weights = detail_weights.fit(photos[:60], walk, Recorder(0.001, 0))
    choice, recorder = random.Random(1), Recorder(arguments.share, 0)
    for index, photo in enumerate(photos):
        if index % 20 == 0:
            logger.info("%d of %d photographs", index, len(photos))
        walk(photo, recorder, weights, choice)
    joined = start + sum(fit(noted, start) - start for noted in recorder.noted.values())
    entries = np.clip(np.round(joined * UNITS_PER_NAT), -127, 127).astype(np.int8)
    ends = np.cumsum([int(np.prod(shape)) for shape in TABLE_SHAPES.values()])[:-1]
    parts = zip(TABLE_SHAPES.items(), np.split(entries, ends), strict=True)
    write_tables({name: part.reshape(shape) for (name, shape), part in parts} | {"weights": weights}, arguments.output)


if __name__ == "__main__":
    main()
