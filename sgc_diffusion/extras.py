"""What parts of the package need beyond NumPy and Pillow, and the line that says how to get it.

Files are read in many places and written in few. So the plain installation reads, verifies, inspects, previews and
thins them; what analyzes and draws pictures is an extra, named after what it brings, as in diffusers.
"""

from __future__ import annotations

import importlib.util

MODULES = {  # extra of pyproject.toml → what is imported of it
    "torch": ("torch", "diffusers", "transformers", "accelerate", "safetensors", "huggingface_hub", "scipy"),
    "crypto": ("cryptography",),
    "demo": ("gradio",),
    "scale": ("duckdb", "pyarrow", "fsspec"),
    "completion": ("shtab",),
}


def require(extra: str, what: str) -> None:
    """Check that what an extra brings is there; import nothing.

    Args:
        extra: a key of `MODULES`.
        what: needs it, as a message begins: `Drawing pictures`.

    Raises:
        ImportError: it is not; the message says how to get it.
    """
    missing = [module for module in MODULES[extra] if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f"{what} needs {missing[0]}: pip install 'sgc-diffusion[{extra}]'", name=missing[0])
