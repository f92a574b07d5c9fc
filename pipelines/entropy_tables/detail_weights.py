"""Fit the weights of the features that `sgc_diffusion.bitstream.detail_context.energies` adds up.

For each channel, orientation and turn, the log-odds that the next bit of a coefficient is 1 are modelled as
a + b·log(ε + Σ weight · feature), with a and b by what is known of the coefficient; the weights are then scaled so that
the sum of all, each times the number of neighbors in its feature, is 256.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch

from sgc_diffusion.bitstream import detail_context as context
from sgc_diffusion.bitstream import detail_planes

NUM_NEIGHBORS = np.array((2, 2, 4, 2, 2, 1, 1, 1, 1, 4))  # in each feature
_MOST_SAMPLES = 20_000
_SHARE = 0.04


class FeatureRecorder:
    """Answers with the truth and notes features, by listening to `detail_context.find_features`."""

    def __init__(self) -> None:
        self.samples: dict[tuple[int, int, int], list] = defaultdict(list)
        self._chance = np.random.default_rng(0)

    def note(self, key: tuple[int, int, int], features: list, start: np.ndarray, bits: np.ndarray) -> None:
        """Note a share of the cells of a turn: features, what is known, and the next bit."""
        share = _SHARE if start.size > 4096 else 0.3
        chosen = np.flatnonzero(self._chance.random(start.size) < share)
        columns = [np.zeros(len(chosen), np.uint16) if part is None else part.ravel()[chosen] for part in features]
        self.samples[key].append((np.stack(columns, axis=1), start.ravel()[chosen], bits.ravel()[chosen]))


class ListeningCoder(detail_planes.PlaneCoder):
    """A coder that hands the features of each turn to a recorder."""

    recorder: FeatureRecorder

    def _code_cells(self, band, plane, around, sizes, turn, mask, truth) -> None:  # noqa: ANN001
        phase = detail_planes.TURNS[turn]
        features = context.find_features(sizes, phase, around)
        start = np.minimum(context.neighbor(sizes, phase, 0, 0) >> 3, 3)
        bits = np.abs(truth[phase, 1:-1, 1:-1]) >> plane & 1
        self.recorder.note((band.table_channel, band.orientation, turn), features, start, bits)
        super()._code_cells(band, plane, around, sizes, turn, mask, truth)


def fit(photos: list[np.ndarray], walk: Callable, decider: detail_planes.Decider) -> np.ndarray:
    """Return the weights, (8, 4, 4, 10) uint8.

    Args:
        photos: (H, W, 3) uint8 each.
        walk: `detail.walk`.
        decider: who answers with the truth.
    """
    recorder, choice = FeatureRecorder(), random.Random(2)
    ListeningCoder.recorder = recorder
    weights = np.full((context.NUM_CHANNELS, 4, 4, context.NUM_FEATURES), 8, dtype=np.uint8)
    for photo in photos:
        walk(photo, decider, weights, choice, ListeningCoder)
    for key, samples in recorder.samples.items():
        weights[key] = _fit_one(*(np.concatenate(parts) for parts in zip(*samples, strict=True)))
    return weights


def _fit_one(features: np.ndarray, start: np.ndarray, bits: np.ndarray) -> np.ndarray:
    chosen = torch.randperm(len(bits))[:_MOST_SAMPLES].numpy()
    inputs, answers = torch.from_numpy(features[chosen].astype(np.float32)), torch.from_numpy(bits[chosen]).float()
    known = torch.from_numpy(start[chosen].astype(np.int64))
    logs = torch.full((context.NUM_FEATURES,), -2.5, requires_grad=True)
    floor = torch.tensor(-1.0, requires_grad=True)
    slope, bend, bias = (torch.full((4,), value, requires_grad=True) for value in (1.0, 0.0, 0.0))
    optimizer = torch.optim.Adam([logs, floor, slope, bend, bias], lr=0.06)
    for _ in range(100):
        energy = torch.log((inputs * torch.exp(logs)).sum(dim=1) + torch.exp(floor))
        odds = slope[known] * energy + bend[known] * energy * energy + bias[known]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = torch.exp(logs).detach().numpy() * (features.max(axis=0) > 0)
    return np.minimum(256 * weights / (weights * NUM_NEIGHBORS).sum(), 255).astype(np.uint8)
