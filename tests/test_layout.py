"""The tree stays as the design has it: import direction, no circles, what a wheel holds, file sizes."""

import ast
import json
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sgc_diffusion"
# From the ground up: each storey may import what stands on storeys below it, and nothing beside it.
STOREYS = (
    {"atomic_file", "extras", "torchvision_hook", "taxonomy", "features"},
    {"payload"},
    {"bitstream", "analysis", "synthesis", "zoo", "training"},
    {"pipeline"},
    {"families"},
    {"app", "archive", "conversion", "evaluation", "pillow_plugin"},
    {"cli"},
    {"__main__"},
)
FACADE = "sgc_diffusion"  # its __init__ imports by name, when it is asked
LIGHT = {"taxonomy", "payload", "bitstream"}  # readable with numpy alone
OWN_CLASSES = {f"sgc_diffusion.{name}" for name in ("synthesis.few_step", "synthesis.gan", "analysis.compact_image")}
HEAVY = {"torch", "diffusers", "transformers", "scipy", "PIL"}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imported_modules(path):
    """Yield the modules that a file imports, inside functions and for type checking too; `from package import module`
    is the module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


GRAPH = {
    name: {other for other in imported_modules(path) if other in MODULES and other not in (name, FACADE)}
    for name, path in MODULES.items()
    if name != FACADE
}


def unit(name):
    """The first part of a module's name below the package: what has a place on a storey."""
    return name.split(".")[1]


def test_no_module_imports_itself_over_others():
    TopologicalSorter(GRAPH).prepare()  # raises CycleError, which names the circle


def test_no_part_imports_itself_over_others():
    parts = {}
    for name, others in GRAPH.items():
        parts.setdefault(unit(name), set()).update(unit(other) for other in others if unit(other) != unit(name))
    TopologicalSorter(parts).prepare()


def test_a_circle_is_found():
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()


def test_every_part_has_a_storey():
    assert len(STOREYS) <= 8
    assert {unit(name) for name in GRAPH} == set.union(*STOREYS)


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_imports_point_down(name):
    storey_of = {part: number for number, parts in enumerate(STOREYS) for part in parts}
    upward = [
        other for other in GRAPH[name] if unit(other) != unit(name) and storey_of[unit(other)] >= storey_of[unit(name)]
    ]
    assert not upward
    outside = {other.split(".")[0] for other in imported_modules(MODULES[name])}
    assert not outside & {"pipelines", "eval", "notebooks", "tests"}
    if unit(name) in LIGHT:
        assert not outside & HEAVY


def test_a_wheel_holds_the_package_alone():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["sgc_diffusion"]


def test_weights_are_small_enough_and_of_stock_classes_but_for_what_no_library_has():
    folders = [path.parent for path in (PACKAGE / "weights").glob("*/model_index.json")]
    assert folders
    files = [path for folder in folders for path in folder.rglob("*.safetensors")]
    assert max(path.stat().st_size for path in files) <= 15 * 2**20
    assert sum(path.stat().st_size for path in files) <= 60 * 2**20
    for folder in folders:
        index = json.loads((folder / "model_index.json").read_text())
        libraries = {value[0] for value in index.values() if isinstance(value, list) and value[0]}
        assert libraries <= {"diffusers", "transformers"} | OWN_CLASSES
        assert (folder / "README.md").is_file()
