"""Fit the tables of an additive model: log-odds of a yes = sum of one entry of each table."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

UNITS_PER_NAT = 32
_LARGEST = 127 / UNITS_PER_NAT


def count(batches: Iterable[tuple[np.ndarray, list[np.ndarray]]], sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each combination of contexts was seen with each answer.

    Args:
        batches: answers (n,) bool and, for each table, indices (n,) below its size.
        sizes: entries of each table.

    Returns:
        keys (m,) int64, combination × 2 + answer; counts (m,) int64.
    """
    keys = []
    for answer, contexts in batches:
        key = np.zeros(len(answer), dtype=np.int64)
        for context, size in zip(contexts, sizes, strict=True):
            key = key * size + context
        keys.append(key * 2 + answer)
    return np.unique(np.concatenate(keys), return_counts=True)


def fit(
    keys: np.ndarray,
    counts: np.ndarray,
    sizes: list[int],
    *,
    num_steps: int = 100,
    learning_rate: float = 0.12,
    penalty: float = 0.3,
) -> list[np.ndarray]:
    """Minimize the code length plus a penalty on the squared entries, full batch, by Adam.

    Args:
        keys: of `count`.
        counts: of `count`, may be weighted.
        sizes: entries of each table.
        num_steps: of Adam.
        learning_rate: at the start; lowered twice.
        penalty: times the squared entries in nats.

    Returns:
        One int8 table of log-odds for each size, in 1/32 nat.
    """
    torch.manual_seed(0)
    answer = torch.from_numpy((keys & 1).astype(np.float32))
    weight = torch.from_numpy(counts.astype(np.float32))
    rest, indices = keys >> 1, []
    for size in reversed(sizes):
        indices.append(torch.from_numpy((rest % size).astype(np.int32)))
        rest = rest // size
    indices.reverse()
    tables = [torch.zeros(size, requires_grad=True) for size in sizes]
    optimizer = torch.optim.Adam(tables, lr=learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [num_steps * 2 // 3, num_steps * 5 // 6], gamma=0.4)
    for _ in range(num_steps):
        odds = sum(table.index_select(0, index) for table, index in zip(tables, indices, strict=True))
        loss = (torch.nn.functional.binary_cross_entropy_with_logits(odds, answer, reduction="none") * weight).sum()
        loss = loss + penalty * sum((table * table).sum() for table in tables)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for table in tables:
                table.clamp_(-_LARGEST, _LARGEST)
    return [np.round(table.detach().numpy() * UNITS_PER_NAT).astype(np.int8) for table in tables]
