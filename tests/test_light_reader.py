"""What the plain installation does: an environment of NumPy and Pillow alone reads, and says what the rest needs."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state

ROOT = Path(__file__).parents[1]
PICTURE = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
COMMANDS = (
    ["--help"],
    ["compress", "--help"],
    ["--version"],
    ["inspect", "a.sgc"],
    ["verify", "a.sgc"],
    ["preview", "a.sgc", "-o", "a.png"],
    ["preview", "labels.sgc", "-o", "labels.webp", "--max-side", "20"],
    ["thin", "a.sgc", "-o", "thin.sgc", "--max-bytes", "100"],
    ["recode", "a.sgc", "-o", "seven.sgc", "--seed", "7"],
    ["decompress", "a.sgc", "--decoder", "likeness", "-o", "likeness.png"],
)


def write_files(folder):
    color = ColorLayer.from_color_map(PICTURE[::8, ::8].copy(), 32)
    labels = LabelLayer(np.arange(4, dtype=np.uint8).reshape(2, 2), "landscape-24")
    payload = SemanticPayload(41, 30, labels, color)
    (folder / "labels.sgc").write_bytes(bitstream.encode(payload))
    levels = (DetailLevel(FIRST_KIND + 2, exact_state(PICTURE, color.color_map)),)
    (folder / "a.sgc").write_bytes(bitstream.encode(SemanticPayload(41, 30, labels, color, layers=levels)))
    (folder / "key").write_text("00" * 32)
    Image.fromarray(PICTURE).save(folder / "picture.png")


@pytest.fixture(scope="module")
def light_python(tmp_path_factory):
    """The interpreter of a fresh environment into which nothing is linked but NumPy, Pillow and this package."""
    place = tmp_path_factory.mktemp("light") / "venv"
    venv.create(place, symlinks=os.name != "nt", with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)})
    target = Path(paths["purelib"])
    (target / "sgc_diffusion").symlink_to(ROOT / "sgc_diffusion")
    for package in (Path(np.__file__).parent, Path(PIL.__file__).parent):
        for part in package.parent.glob(f"{package.name}*"):
            (target / part.name).symlink_to(part)
    for libraries in Path(PIL.__file__).parents[1].glob("[Pp]illow*"):
        (target / libraries.name).symlink_to(libraries)
    return Path(paths["scripts"]) / ("python.exe" if os.name == "nt" else "python")


@pytest.fixture()
def light(light_python, tmp_path):
    """Run a program, or the command, in that environment and in a folder of files: arguments → finished process."""
    write_files(tmp_path)

    def run(*arguments):
        command = [str(light_python), "-I", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    return run


def test_numpy_and_pillow_are_enough_to_read(light, tmp_path):
    for command in COMMANDS:
        done = light("-m", "sgc_diffusion", *command)
        assert (done.returncode, done.stderr) == (0, ""), command
    with Image.open(tmp_path / "labels.webp") as image:
        assert image.size == (20, 15)
    assert (tmp_path / "thin.sgc").stat().st_size <= 100


def test_what_is_missing_is_named_with_the_extra_that_brings_it(light):
    for command in (["compress", "picture.png"], ["decompress", "a.sgc", "-o", "drawn.png"]):
        done = light("-m", "sgc_diffusion", *command)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert "Analyzing and drawing pictures needs torch: pip install 'sgc-diffusion[torch]'" in done.stderr
    done = light("-m", "sgc_diffusion", "verify", "a.sgc", "--key-file", "key")
    assert "A key needs cryptography: pip install 'sgc-diffusion[crypto]'" in done.stderr
    done = light("-c", "from sgc_diffusion import SemanticCompressionPipeline")
    assert done.stderr.splitlines()[-1].endswith("needs torch: pip install 'sgc-diffusion[torch]'")
    done = light("-m", "sgc_diffusion", "doctor", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["libraries"]["torch"] is None


PROGRAM = """
import json, sys
from sgc_diffusion.cli import main
for command in json.loads(sys.argv[1]):
    try:
        code = main(command)
    except SystemExit as error:
        code = error.code
    assert not code, command
    heavy = {"torch", "diffusers", "transformers", "scipy", "huggingface_hub", "torchvision"} & set(sys.modules)
    assert not heavy, (command, heavy)
"""


def test_where_torch_is_installed_reading_does_not_import_it(tmp_path):
    write_files(tmp_path)
    command = [sys.executable, "-c", PROGRAM, json.dumps(COMMANDS)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
