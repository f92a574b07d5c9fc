"""What happens around each denoising step: progress, callbacks, interruption; and where the noise comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class CallState:
    """What the user may ask of, and tell, a call of a pipeline that draws.

    Attributes:
        interrupted: set to True, it ends the drawing after the step at hand, with what is there.
        num_timesteps: of the pass at hand; 0 before the first.
    """

    interrupted: bool = False
    num_timesteps: int = 0


class InterruptionMixin:
    """What a pipeline has of diffusers' interface to calls that run: `interrupt`, `_interrupt` and `num_timesteps`.

    Each thread that draws with the pipeline has a call of its own. What a callback asks or says is of the call that it
    belongs to. Elsewhere it is of all calls that run, so that a button can stop them, or else of the last that ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, CallState] = {}  # of each thread
        self._last_call = CallState()

    @property
    def interrupt(self) -> bool:
        """Whether the drawing was told to stop, by `pipe._interrupt = True` in a callback, as in diffusers."""
        return any(state.interrupted for state in self._calls_meant())

    @property
    def _interrupt(self) -> bool:
        return self.interrupt

    @_interrupt.setter
    def _interrupt(self, value: bool) -> None:
        for state in self._calls_meant():
            state.interrupted = bool(value)

    @property
    def num_timesteps(self) -> int:
        """How many steps the pass at hand takes, as in diffusers; a large picture is drawn in several passes."""
        return self._calls_meant()[0].num_timesteps

    @contextmanager
    def _running_call(self) -> Iterator[CallState]:
        """Yield the state of a call that runs while the block runs; one inside a callback of another has its own."""
        thread, state = threading.get_ident(), CallState()
        outer = self._calls.get(thread)
        self._calls[thread] = state
        try:
            yield state
        finally:
            self._last_call = state
            if outer is None:
                del self._calls[thread]
            else:
                self._calls[thread] = outer

    def _calls_meant(self) -> list[CallState]:
        own = self._calls.get(threading.get_ident())
        return [own] if own is not None else list(self._calls.values()) or [self._last_call]


class StepObserver:
    """Tells a progress bar and a callback of each step, and a drawing when to stop.

    Args:
        progress_bar: `total` → context manager with `update`, such as diffusers' `progress_bar`.
        callback: (step, timestep, tensors by name) → changed tensors, or None for none; None for no callback.
        tensor_inputs: names of the tensors that the callback is given; there is only `latents`.
        state: of the call.

    Attributes:
        latents: (B, C, h, w) floats after the last step; None before the first, and for families without latents.
    """

    def __init__(
        self,
        progress_bar: Callable[[int], Any],
        callback: Callable[[int, torch.Tensor, dict[str, torch.Tensor]], dict[str, Any] | None] | None,
        tensor_inputs: Sequence[str],
        state: CallState,
    ) -> None:
        self._progress_bar, self._callback = progress_bar, callback
        self._tensor_inputs, self._state = tensor_inputs, state
        self._progress: Any = None
        self.latents: torch.Tensor | None = None

    def is_interrupted(self) -> bool:
        """Return whether the user wants the drawing to end with what is there."""
        return self._state.interrupted

    @contextmanager
    def counting(self, num_steps: int) -> Iterator[None]:
        """Show the progress of the `num_steps` steps of a pass while the block runs."""
        self._state.num_timesteps = num_steps
        with self._progress_bar(num_steps) as self._progress:
            yield

    def on_step(self, index: int, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Report a step; return the latents (B, C, h, w) to go on with."""
        if self._progress is not None:
            self._progress.update()
        if self._callback is not None:
            tensors = {name: latents for name in self._tensor_inputs}
            latents = (self._callback(index, timestep, tensors) or {}).get("latents", latents)
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
