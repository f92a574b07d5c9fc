"""The pipelines that come with the package, and where a pipeline's name leads.

"landscape-256" ──▶ sgc_diffusion/weights/landscape-256        "./folder", "owner/name" ──▶ as they are
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from sgc_diffusion.payload.recipe import PROFILES
from sgc_diffusion.zoo.known import KNOWN_PIPELINES

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"


def embedded_names() -> list[str]:
    """Return the names of the embedded pipelines."""
    return sorted(path.parent.name for path in WEIGHTS_FOLDER.glob("*/model_index.json"))


def resolve_name(name_or_path: str) -> str:
    """Return the folder or Hub id that a name stands for.

    Args:
        name_or_path: name of an embedded pipeline, local folder, or Hub id `owner/name`.

    Raises:
        ValueError: none of these.
    """
    if name_or_path in embedded_names():
        return str(WEIGHTS_FOLDER / name_or_path)
    folder = Path(name_or_path)
    if name_or_path and folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise ValueError(
                f"{name_or_path} is a folder without model_index.json; give a folder that `save_pretrained` wrote"
            )
        return name_or_path
    if HUB_ID.fullmatch(name_or_path):
        return name_or_path
    known = next((pipeline for pipeline in KNOWN_PIPELINES if pipeline.name == name_or_path), None)
    if known is not None:
        steps = "; ".join(known.commands)
        raise ValueError(f"{name_or_path!r} is not here yet; its weights are fetched by: {steps}")
    if name_or_path in PROFILES:
        raise ValueError(f"{name_or_path!r} is not here: this copy of the package holds no weights of it")
    names = [pipeline.name for pipeline in KNOWN_PIPELINES]
    close = difflib.get_close_matches(name_or_path, names, n=1)
    raise ValueError(
        f"{name_or_path!r} is no known pipeline ({', '.join(names)}), no folder here, and no Hub id (owner/name)"
        + (f"; did you mean {close[0]!r}?" if close else "")
    )


def check_place(argument: str, name: str) -> None:
    """Check that a name is that of a folder or can be one on the Hub.

    Args:
        argument: what the user gave the name as, for the message.
        name: of a single model, which has no embedded names.

    Raises:
        ValueError: neither.
    """
    if not (name and Path(name).is_dir()) and not HUB_ID.fullmatch(name):
        raise ValueError(f"`{argument}` {name!r} is no folder here and no Hub id (owner/name); check the spelling")
