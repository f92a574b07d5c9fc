"""Read the tensors of a checkpoint without running anything that is in it.

A checkpoint of pytorch-lightning holds, beside the tensors, pickled objects of its training run: callbacks, optimizer
states, configurations. torch's `weights_only` reader refuses such files. Here every class that it does not know stands
for an inert placeholder, so that the file can be read to its end while no code but torch's own reader runs.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

MAX_NAMES_SHOWN = 5


class InertObject:
    """Stands for any object of a class that is not loaded: takes what the pickle gives it and does nothing."""

    def __new__(cls, *_: Any) -> InertObject:
        """Accept the arguments of any class and drop them."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by their names.

    Args:
        path: a `.ckpt`, `.pt` or `.pth` file, whose tensors are at the top or, as pytorch-lightning and torchvision's
            training write them, under `state_dict` or `model`; or a `.safetensors` file.

    Raises:
        ValueError: no checkpoint, one that is damaged, or one without tensors.
        FileNotFoundError: no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`checkpoint` {path} is no file; give the one that the authors published")
    if path.suffix == ".safetensors":
        content: Any = load_file(path)
    else:
        content = _read_pickle(path)
    tensors = content.get("state_dict", content.get("model", content)) if isinstance(content, dict) else None
    state = dict(tensors) if isinstance(tensors, dict) else {}
    state = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not state:
        raise ValueError(f"`checkpoint` {path} holds no tensors by name; expected a dictionary with `state_dict`")
    return state


def _read_pickle(path: Path) -> Any:
    """Read a torch file with `weights_only`, unknown classes replaced by `InertObject`."""
    try:
        if not zipfile.is_zipfile(path):  # torch's format before 1.6; it has no list of what it refers to
            return torch.load(path, map_location="cpu", weights_only=True)
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(InertObject, name) for name in unknown]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        match = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))  # torch's own advice is to execute the file
        reason = match[1] if match else (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"`checkpoint` {path} cannot be read safely ({reason}); download it again, or re-save its `state_dict` "
            "alone as .safetensors where you trust the file"
        ) from error
    except AttributeError as error:
        raise ValueError(f"`checkpoint` {path} cannot be read safely ({error})") from error


def take_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def check_names(tensors: dict[str, torch.Tensor], expected: dict[str, tuple[int, ...]], part: str) -> None:
    """Compare names and shapes of a checkpoint's part with those of its configuration.

    Args:
        tensors: tensors of the checkpoint.
        expected: name → shape.
        part: what to call it in the message.

    Raises:
        ValueError: a tensor is missing, left over, or of another shape.
    """
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in tensors and tuple(tensors[name].shape) != tuple(shape)
    ]
    for kind, names in (("lacks", missing), ("has unexpected", unknown), ("has of another shape", shapes)):
        if names:
            more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
            raise ValueError(
                f"`checkpoint` does not fit the configuration: its {part} {kind} "
                f"{', '.join(names[:MAX_NAMES_SHOWN])}{more}; give the config.yaml that was published with it"
            )
