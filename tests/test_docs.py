"""The site: it is built strictly, and what its pages show to be typed can be typed."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sgc_diffusion.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
REDIRECTION = re.compile(r"\s[<>&].*")


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.+?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_is_built_and_every_link_on_it_leads_somewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    environment = {"NO_MKDOCS_2_WARNING": "1", "SGC_REPOSITORY": "https://example.org/sgc/blob/main/"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "evaluation" / "index.html").read_text("utf-8")
    assert 'href="https://example.org/sgc/blob/main/eval/README.md"' in page
    api = (tmp_path / "api" / "index.html").read_text("utf-8")
    for name in ("compress", "decompress", "SemanticPayload", "preview"):
        assert re.search(rf'id="sgc_diffusion\.[\w.]+\.{name}"', api), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_shows_can_be_read(path):
    lines = [line for block in blocks(path, "bash") for line in block.splitlines() if line.startswith("sgc ")]
    for line in lines:
        words = shlex.split(REDIRECTION.sub("", line), comments=True)
        build_parser().parse_args(words[1:])  # exits where it cannot


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_script_that_a_page_shows_exists_and_has_the_options(path):
    for line in (line for block in blocks(path, "bash") for line in block.splitlines()):
        words = shlex.split(REDIRECTION.sub("", line), comments=True)
        if words[:1] != ["python"]:
            continue
        script = ROOT / words[1]
        assert script.is_file(), line
        sources = "".join(file.read_text("utf-8") for file in script.parent.glob("*.py"))
        shared = (ROOT / "sgc_diffusion" / "training" / "loops.py").read_text("utf-8")
        for option in (word for word in words[2:] if word.startswith("--")):
            assert f'"{option}"' in sources + shared, f"{option} in {line}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_python_block_is_python(path):
    for block in blocks(path, "python"):
        compile(block, path.name, "exec")
