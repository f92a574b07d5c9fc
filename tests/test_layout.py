"""The tree stays as the design has it: import direction, what a wheel holds, file sizes."""

import ast
import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sgc_diffusion"
STAGES = ("analysis", "bitstream", "synthesis")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inwards(path):
    modules = list(imported_modules(path))
    assert not [name for name in modules if name.split(".")[0] in {"pipelines", "eval", "notebooks", "tests"}]
    stage = path.relative_to(PACKAGE).parts[0]
    if stage in STAGES:
        others = {f"sgc_diffusion.{other}" for other in STAGES if other != stage}
        assert not [name for name in modules if ".".join(name.split(".")[:2]) in others]
    if stage == "bitstream":
        assert not [name for name in modules if name.split(".")[0] in {"torch", "diffusers", "transformers"}]


def test_a_wheel_holds_the_package_alone():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["sgc_diffusion"]


def test_weights_are_small_enough_and_of_stock_classes_but_for_one():
    folders = [path.parent for path in (PACKAGE / "weights").glob("*/model_index.json")]
    assert folders
    files = [path for folder in folders for path in folder.rglob("*.safetensors")]
    assert max(path.stat().st_size for path in files) <= 15 * 2**20
    assert sum(path.stat().st_size for path in files) <= 60 * 2**20
    for folder in folders:
        index = json.loads((folder / "model_index.json").read_text())
        libraries = {value[0] for value in index.values() if isinstance(value, list)}
        assert libraries <= {"diffusers", "transformers", "sgc_diffusion.synthesis.few_step"}
        assert (folder / "README.md").is_file()
