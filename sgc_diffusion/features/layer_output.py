"""What a layer gives while a network runs, seen by the thread that asks for it and by no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def watching(layer: nn.Module, see: Callable[[Any], Any]) -> Iterator[None]:
    """Show the output of a layer to a function while the block runs.

    Args:
        layer: of a network that other threads may run meanwhile, and look at as well.
        see: output → what stands in its place for the rest of the network, or None to leave it.
    """
    thread = threading.get_ident()

    def show(module: nn.Module, inputs: Any, output: Any) -> Any:
        return see(output) if threading.get_ident() == thread else None

    hook = layer.register_forward_hook(show)
    try:
        yield
    finally:
        hook.remove()
