"""What a user installs: dependencies, licenses, versions, and what the Makefile puts where."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sgc_diffusion
from sgc_diffusion import extras
from sgc_diffusion.cli.diagnosis import CORE_LIBRARIES, OPTIONAL_LIBRARIES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sgc_diffusion"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMPORT_NAMES = {  # of distributions that are not imported by their own name
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "open-clip-torch": "open_clip",
    "pillow-jxl-plugin": "pillow_jxl",
    "pillow-heif": "pillow_heif",
    "huggingface-hub": "huggingface_hub",
    "cvvdp": "pycvvdp",
}
LISTED_EXTRAS = ("torch", "crypto", "formats", "completion", "demo", "eval", "vvc", "scale")
NEEDED_BY_OTHERS = {"accelerate", "setuptools"}  # diffusers' offloading; see pyproject.toml


def names(requirements):
    return {re.match(r"[\w-]+", requirement).group() for requirement in requirements}


def modules(requirements):
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names(requirements)}


def third_party(folder):
    """Return the modules of others that a folder's files import, at the top or later."""
    imported = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    return imported - sys.stdlib_module_names - {"sgc_diffusion"}


CORE = modules(PROJECT["dependencies"])
EXTRAS = {
    extra: modules(requirements) - {"sgc_diffusion"} for extra, requirements in PROJECT["optional-dependencies"].items()
}
INSTALLABLE = CORE | EXTRAS["torch"] | EXTRAS["crypto"] | EXTRAS["formats"] | EXTRAS["completion"]
LIGHT = {"atomic_file", "extras", "taxonomy", "payload", "bitstream"}  # what everybody has


@pytest.mark.parametrize("folder", sorted(path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))))
def test_what_is_imported_is_declared(folder):
    allowed = INSTALLABLE | {"torchvision"}  # used where it is installed
    if folder in LIGHT:
        allowed = CORE | EXTRAS["crypto"]
    if folder in ("training", "features"):
        allowed |= EXTRAS["train"]
    if folder == "features":
        allowed |= EXTRAS["eval"]
    if folder == "app":
        allowed |= EXTRAS["demo"]
    if folder == "archive":
        allowed |= EXTRAS["scale"]
    if folder == "zoo":
        allowed |= EXTRAS["text"]
    if folder == "evaluation":
        allowed |= EXTRAS["eval"] | EXTRAS["vvc"] | {"ai_edge_litert"}  # for a segmenter
    assert third_party(PACKAGE / folder) <= allowed


def test_what_is_declared_is_imported():
    declared = INSTALLABLE | EXTRAS["demo"] | EXTRAS["eval"] | EXTRAS["vvc"] | EXTRAS["scale"]
    assert declared - third_party(PACKAGE) <= NEEDED_BY_OTHERS


def test_doctor_lists_what_is_declared():
    optional = set().union(*(names(PROJECT["optional-dependencies"][extra]) for extra in LISTED_EXTRAS))
    assert set(CORE_LIBRARIES) == names(PROJECT["dependencies"])
    assert set(OPTIONAL_LIBRARIES) == optional - {"setuptools", "sgc-diffusion"}


def test_the_line_that_names_an_extra_names_what_it_brings():
    assert set(extras.MODULES) <= set(EXTRAS)
    for extra, needed in extras.MODULES.items():
        assert set(needed) <= EXTRAS[extra]


def test_code_and_weights_have_their_licenses():
    assert PROJECT["license"] == "Apache-2.0 AND LicenseRef-SGC-Research-Weights"
    texts = [(ROOT / name).read_text("utf-8") for name in PROJECT["license-files"]]
    assert "Apache License" in texts[0] and "LicenseRef-SGC-Research-Weights" in texts[1]
    for card in (PACKAGE / "weights").glob("*/README.md"):
        (link,) = re.findall(r"^license_link: (.+)$", card.read_text("utf-8"), re.MULTILINE)
        assert (card.parent / link).samefile(ROOT / PROJECT["license-files"][1])
    for path in PACKAGE.rglob("*.safetensors"):
        assert path.is_relative_to(PACKAGE / "weights")


def test_versions_agree():
    assert PROJECT["version"] == sgc_diffusion.__version__
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest.group(1) == PROJECT["version"]
    minors = [int(name.rpartition(".")[2]) for name in PROJECT["classifiers"] if ":: Python :: 3." in name]
    assert minors == [11, 12, 13, 14] and PROJECT["requires-python"] == f">=3.{minors[0]}"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("target", "installed"), [("demo", {".[torch,pinned]"}), ("test", {".[torch,pinned]", ".[dev,pinned]"})]
)
def test_make_installs_no_more_than_a_target_needs(target, installed, tmp_path):
    command = ["make", "--dry-run", target, f"VENV={tmp_path / 'venv'}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"-e '(.+)'", shown)) == installed
    assert shown.count("write_start_up_file()") == (target == "test")  # which alone installs torchvision
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "demo-installed").touch()
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"-e '(.+)'", shown)) == installed - {".[torch,pinned]"}


def test_the_demo_needs_nothing_beyond_what_draws():
    tree = ast.parse((ROOT / "pipelines" / "demo.py").read_text("utf-8"))
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imports |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in imports} - sys.stdlib_module_names - {"sgc_diffusion"} <= CORE | EXTRAS[
        "torch"
    ]


def test_without_torchvision_loading_prints_nothing(tiny_pipeline_folder):
    program = (
        "import sys; sys.modules['torchvision'] = None\n"  # as if it were not installed
        "from sgc_diffusion import SemanticCompressionPipeline\n"
        "SemanticCompressionPipeline.from_pretrained(sys.argv[1])\n"
    )
    command = [sys.executable, "-c", program, str(tiny_pipeline_folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
