"""`model_index.json`: what a saved pipeline says it is made of, and whether that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download

from sgc_diffusion.zoo.hub import HubOptions

FILE_NAME = "model_index.json"
WEIGHTS_SUFFIXES = (".safetensors", ".bin")


def read_index(path: str, hub: HubOptions) -> dict[str, Any]:
    """Return the content of model_index.json of a folder or Hub id.

    Raises:
        ValueError: a file that is no dictionary.
    """
    folder = Path(path)
    place = folder / FILE_NAME if folder.is_dir() else Path(hf_hub_download(path, FILE_NAME, **hub.arguments()))
    try:
        return dict(json.loads(place.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {FILE_NAME} cannot be read ({error}); save the pipeline again") from error


def class_name(config: dict[str, Any]) -> str:
    """Return the class that a model_index.json or config.json names."""
    return config.get("_class_name", "model of an unknown class")


def check_parts(
    folder: Path, index: dict[str, Any], needed: set[str], optional: set[str], name: str, given: set[str]
) -> None:
    """Check that a pipeline's folder has all its parts.

    Args:
        folder: to look at.
        index: content of its model_index.json.
        needed: names of the components of its class.
        optional: those of them that a pipeline may lack.
        name: what the user called it, for messages.
        given: components that the caller gives himself.

    Raises:
        ValueError: a part is missing.
    """
    for part in sorted(needed - given):
        library, kind = index.get(part) or (None, None)
        if library is None and part in optional:
            continue
        missing = f"{FILE_NAME} does not name it" if library is None else _missing_file(folder / part)
        if missing:
            raise ValueError(
                f"{name}: the component `{part}` ({kind or 'any'}) is incomplete: {missing}; download or save the "
                "pipeline again" + (', or give another with segmenter="owner/name"' if part == "segmenter" else "")
            )


def _missing_file(part: Path) -> str | None:
    if not part.is_dir():
        return f"the folder {part.name}/ is missing"
    if part.name in ("scheduler", "tokenizer", "image_processor"):
        return None if any(part.glob("*.json")) else f"the folder {part.name}/ is empty"
    if not (part / "config.json").is_file():
        return f"{part.name}/config.json is missing"
    if not any(path.suffix in WEIGHTS_SUFFIXES for path in part.iterdir()):
        return f"{part.name}/ holds no weights (*.safetensors)"
    return None
