"""Files of weights: found, fetched, or missed with the command that gets them.

--weights-dir ──┐
caches ─────────┼──find──▶ path ──load_state──▶ tensors ──fill, strictly──▶ network without a random weight
the file's URL ─┘

The libraries' own constructors fetch ImageNet backbones that the published weights then overwrite, and print. Here the
networks are built empty (`replaced`) and every tensor comes from one file, which the user may hand in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHES = ("checkpoints", "pyiqa", "clip")  # folders of torch's hub folder that torchvision, pyiqa and CLIP fill
HASH = re.compile(r"-([0-9a-f]{8})\.\w+$")  # torch's naming: the start of the file's SHA-256


class WeightsError(Exception):
    """Weights that are missing, or are not what they should be; the message says what to do."""


@dataclass(frozen=True)
class WeightsFile:
    """One file of weights.

    Attributes:
        name: under which it is published, and found in --weights-dir and torch's caches.
        url: where it is published; empty if nowhere.
        aliases: other names it may have in --weights-dir.
        hub: repository and file on the Hugging Face Hub, whose cache is searched too; empty if elsewhere.
        hint: what to do where there is no URL.
    """

    name: str
    url: str = ""
    aliases: tuple[str, ...] = ()
    hub: tuple[str, ...] = ()
    hint: str = ""

    def command(self, folder: Path | None = None) -> str:
        """Return the command that puts the file into a folder, by default the one to give as --weights-dir."""
        target = f"{folder or 'WEIGHTS_DIR'}/{self.name}"
        return f"curl -L --create-dirs -o {target} {self.url}" if self.url else self.hint


def hub_file(repository: str, file: str, *aliases: str, name: str = "") -> WeightsFile:
    """Return a file of the Hugging Face Hub."""
    url = f"https://huggingface.co/{repository}/resolve/main/{file}"
    return WeightsFile(name or file, url, aliases, (repository, file))


def cache_folder() -> Path:
    """Return torch's folder that missing files are fetched into."""
    import torch

    return Path(torch.hub.get_dir()) / CACHES[0]


def locate(file: WeightsFile, folder: Path | None = None) -> Path | None:
    """Return where a file of weights is, or None; fetches nothing.

    Args:
        file: the wanted one.
        folder: of local weights, searched before torch's and the Hub's caches.
    """
    from huggingface_hub import try_to_load_from_cache

    local = [folder / name for name in (file.name, *file.aliases)] if folder is not None else []
    for path in (*local, *(cache_folder().parent / cache / file.name for cache in CACHES)):
        if path.is_file():
            return path
    if file.hub and isinstance(cached := try_to_load_from_cache(*file.hub), str):
        return Path(cached)
    return None


def find(file: WeightsFile, folder: Path | None) -> Path:
    """Return where a file of weights is; fetch it into torch's cache if it is nowhere.

    Args:
        file: the wanted one.
        folder: of local weights, searched first.

    Raises:
        WeightsError: it is nowhere and cannot be fetched.
    """
    import torch
    from huggingface_hub import constants

    if path := locate(file, folder):
        return path
    if not file.url or constants.HF_HUB_OFFLINE:
        raise WeightsError(f"no weights: {file.command(folder)}")
    target = cache_folder() / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = HASH.search(file.name)
    try:
        torch.hub.download_url_to_file(file.url, str(target), hash_prefix=digest[1] if digest else None)
    except (OSError, RuntimeError) as error:  # no network, or a file with another hash
        raise WeightsError(f"no weights ({error}): {file.command(folder)}") from error
    return target


def load_state(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file or of a state_dict that torch saved; nothing in it is executed.

    Raises:
        WeightsError: neither of them.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        is_safetensors = path.suffix == ".safetensors"
        state: Any = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be read as weights: {reason}") from error
    for key in ("params", "state_dict"):
        state = state.get(key, state)
    return {key.removeprefix("module."): value for key, value in state.items()}


def fill(network: Any, state: dict[str, Any], path: Path, *, assign: bool = False) -> Any:
    """Load every weight of a network, and make it ready for measuring.

    Args:
        network: a torch module.
        state: its tensors; one too many or too few is an error.
        path: the file they came from, for the message.
        assign: take the tensors themselves, for a network that was built without memory.

    Raises:
        WeightsError: tensors of another network.
    """
    try:
        network.load_state_dict(state, strict=True, assign=assign)
    except RuntimeError as error:
        raise WeightsError(f"{path} holds no weights of {type(network).__name__}: {str(error)[:300]}") from error
    return network.eval().requires_grad_(False)


def load_features(architecture: str, path: Path) -> Any:
    """Return the convolutional part of a torchvision `alexnet` or `vgg16` with the weights of a file."""
    import torch
    import torchvision

    state = {key[9:]: value for key, value in load_state(path).items() if key.startswith("features.")}
    with torch.device("meta"):  # torchvision would draw 61 or 138 million random numbers
        features = getattr(torchvision.models, architecture)().features
    return fill(features, state, path, assign=True)


@contextmanager
def replaced(module: Any, **attributes: Any) -> Iterator[None]:
    """Give a module other attributes for the length of a block: what it would fetch, instead of fetching it."""
    kept = {name: getattr(module, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)
