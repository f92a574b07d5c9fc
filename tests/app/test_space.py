"""The folder of a Hugging Face Space is whole: what it runs, what it needs, what it says of itself."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    target = tmp_path_factory.mktemp("space") / "folder"
    subprocess.run([sys.executable, ROOT / "docs" / "space" / "build.py", target], check=True)
    return target


def test_the_folder_says_what_it_runs_and_needs(space):
    front = yaml.safe_load((space / "README.md").read_text("utf-8").split("---")[1])
    assert front["sdk"] == "gradio" and (space / front["app_file"]).is_file() and front["license"]
    assert len(front["short_description"]) <= 60  # the Hub's limit
    wanted = (space / "requirements.txt").read_text().split("\n")
    assert any(line.startswith("torch>=") for line in wanted) and not any("gradio" in line for line in wanted)
    assert (space / "sgc_diffusion" / "weights" / "landscape-256" / "model_index.json").is_file()
    assert list(space.glob("examples/*.jpg")) and not list(space.rglob("__pycache__"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs gradio")
def test_its_program_builds_the_app_from_its_own_folder_alone(space):
    program = "import app, sgc_diffusion; print(sgc_diffusion.__file__); app.build_app(app.PIPELINE)"
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=space, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(space.resolve())
