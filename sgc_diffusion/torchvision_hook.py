"""Let torchvision's Python parts be imported where its compiled part does not fit the installed torch.

torchvision wheels from the main index are linked to CUDA. Beside a CPU-only torch their `_C.so` cannot be loaded, and
`import torchvision` stops with "operator torchvision::nms does not exist", because `_meta_registrations` describes
operators that were never defined (https://github.com/pytorch/vision/issues/9085). Transformers' image processors, timm
and the metrics then fail to import. Declaring the operators is enough: networks and transforms are plain Python.

`install_hook` costs nothing until torchvision is first looked up, and changes nothing where torchvision works. It has
to come before whatever imports torchvision, diffusers and transformers among them. `import sgc_diffusion` installs it;
in an environment where other imports may come first, `write_start_up_file` makes Python do so whenever it starts;
`make` calls it in the environment that it builds.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

START_UP_FILE = "sgc_diffusion_torchvision.pth"
OPERATORS = ("nms", "qnms")  # described by torchvision ≥ 0.28 without a look whether they exist

_libraries: list[Any] = []  # a declaration lasts as long as its object


class _TorchvisionFinder(importlib.abc.MetaPathFinder):
    """Finds nothing itself; declares the missing operators just before torchvision is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name != "torchvision":
            return
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torchvision")
        if spec is not None and spec.origin is not None:
            declare_operators(Path(spec.origin).parent)


def install_hook() -> None:
    """Make the next `import torchvision` work beside a CPU-only torch; does nothing a second time."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _TorchvisionFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _TorchvisionFinder())


def declare_operators(folder: Path) -> bool:
    """Declare torchvision's operators if its compiled part cannot be loaded.

    Args:
        folder: of the installed torchvision.

    Returns:
        Whether they had to be declared.
    """
    import torch

    if _libraries:  # a look for torchvision without an import, and a second hook after it
        return False
    if torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None:
        return False
    compiled = sorted(folder.glob("_C*.so")) + sorted(folder.glob("_C*.pyd"))
    try:
        for library_path in compiled:
            torch.ops.load_library(str(library_path))
    except OSError:
        compiled = []
    if compiled:
        return False
    library = torch.library.Library("torchvision", "DEF")
    for operator in OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)
    return True


def write_start_up_file() -> Path:
    """Make every Python of this environment install the hook when it starts; return the file that says so."""
    path = Path(sysconfig.get_path("purelib")) / START_UP_FILE
    path.write_text("import sgc_diffusion.torchvision_hook\n", "utf-8")  # the package's own import installs it
    return path
