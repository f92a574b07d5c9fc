"""diffusers without the packages that it would import beside itself and that drawing does not need.

On a machine where its optional packages are installed, `from diffusers import UNet2DModel` takes 4 s of processor time,
of which 0.7 are its own: it imports transformers for quantized weights, bitsandbytes, scipy for one spacing of
timesteps, and torch's compiler to tell it which classes it need not look into, and to see whether a network is a
compiled one. A command that draws one file and ends pays that for nothing.

While the block runs, those packages are "not installed", which diffusers handles by itself, and the compiler is a
stand-in that has compiled nothing. Afterwards they can be imported as ever, but **the diffusers of this process goes on
without them**: it loads no pipeline with components of transformers, and what it imported meanwhile should not be
compiled. So this is for a command, which knows what it will load, and not for a library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

# what diffusers looks for and embedded pipelines do not use when they draw
OPTIONAL = ("bitsandbytes", "peft", "scipy", "sentencepiece", "torchvision", "transformers")
COMPILER = "torch._dynamo"


@contextmanager
def lean_diffusers() -> Iterator[None]:
    """Hide from diffusers what drawing does not need; does nothing where diffusers was imported before."""
    if "diffusers" in sys.modules:
        yield
        return
    stand_ins: dict[str, Any] = {name: None for name in OPTIONAL if name not in sys.modules}
    if COMPILER not in sys.modules:
        stand_ins[COMPILER] = _compiler_stand_in()
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _compiler_stand_in() -> ModuleType:
    """Return a module with what diffusers takes of the compiler: two marks for classes, and what is compiled."""
    module: Any = ModuleType(COMPILER)
    module.allow_in_graph = lambda marked: marked
    module.disable = _leave_as_it_is
    module.eval_frame = SimpleNamespace(OptimizedModule=type("OptimizedModule", (), {}))
    return module


def _leave_as_it_is(function: Callable | None = None, *_: Any, **__: Any) -> Any:
    """Return a function as it is, as a decorator with or without arguments."""
    return (lambda decorated: decorated) if function is None else function
