"""What happens around each denoising step: progress, callbacks, interruption; and where the noise comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


class StepObserver:
    """Tells a progress bar and a callback of each step, and a drawing when to stop.

    Args:
        progress_bar: `total` → context manager with `update`, such as diffusers' `progress_bar`.
        callback: (step, timestep, {"latents": …}) → changed tensors, or None for none.
        is_interrupted: whether the user wants the drawing to end with what is there.

    Attributes:
        latents: (B, C, h, w) after the last step; None before the first, and for families without latents.
    """

    def __init__(
        self,
        progress_bar: Callable[[int], Any],
        callback: Callable[[int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None] | None,
        is_interrupted: Callable[[], bool],
    ) -> None:
        self._progress_bar, self._callback, self.is_interrupted = progress_bar, callback, is_interrupted
        self._progress: Any = None
        self.latents: torch.Tensor | None = None

    @contextmanager
    def counting(self, num_steps: int) -> Iterator[None]:
        """Show the progress of `num_steps` steps while the block runs."""
        with self._progress_bar(num_steps) as self._progress:
            yield

    def on_step(self, index: int, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Report a step; return the latents (B, C, h, w) to go on with."""
        if self._progress is not None:
            self._progress.update()
        if self._callback is not None:
            changed = self._callback(index, timestep, {"latents": latents}) or {}
            latents = changed.get("latents", latents)
        self.latents = latents
        return latents


def noise_generators(
    seeds: Sequence[int], generator: torch.Generator | Sequence[torch.Generator] | None
) -> list[torch.Generator]:
    """Return a generator of noise for each picture, so that no picture depends on those it is drawn beside.

    Args:
        seeds: of the files.
        generator: None for the files' seeds, a list with one a picture, or one for all: a single picture is drawn with
            it, several with generators that it seeds, in order.
    """
    if generator is None:
        return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    if not isinstance(generator, torch.Generator):
        return list(generator)
    if len(seeds) == 1:
        return [generator]
    drawn = torch.randint(2**63 - 1, (len(seeds),), generator=generator, device=generator.device)
    return [torch.Generator(generator.device).manual_seed(int(seed)) for seed in drawn]
