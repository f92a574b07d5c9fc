"""Put the folder of a Hugging Face Space together, ready to be uploaded without further edits.

    python docs/space/build.py build/space
    hf upload OWNER/NAME build/space . --repo-type space

The Space gets the package as it is here, so that it needs no release; `requirements.txt` names what the package needs.
"""

import argparse
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = ("torch", "demo")
GIVEN = ("gradio",)  # by the Space itself, in the version that README.md names


def requirements() -> list[str]:
    """Return what the app needs, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    return [entry for entry in wanted if not entry.startswith(("sgc-diffusion", *GIVEN))]


def build(target: Path) -> None:
    """Write the folder.

    Args:
        target: of a name that is not there yet.

    Raises:
        FileExistsError: it is.
    """
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "sgc_diffusion", target / "sgc_diffusion", ignore=ignored)
    for name in ("README.md", "app.py"):
        shutil.copy(Path(__file__).parent / name, target)
    shutil.copy(ROOT / "LICENSE", target)
    (target / "examples").mkdir()
    shutil.copy(ROOT / "pipelines" / "landscape.jpg", target / "examples")
    (target / "requirements.txt").write_text("\n".join(requirements()) + "\n", "utf-8")


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="folder to be made")
    build(parser.parse_args().target)


if __name__ == "__main__":
    main()
