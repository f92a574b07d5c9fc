"""A command that draws imports what it draws with, and draws the same picture."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload
from sgc_diffusion.zoo.lean_import import COMPILER, OPTIONAL, lean_diffusers

COMMAND = """
import json, sys
from sgc_diffusion.cli import main
code = main(["decompress", sys.argv[1], "-o", sys.argv[2], "--preset", "fast"])
imported = [name for name in json.loads(sys.argv[3]) if name in sys.modules]
import scipy.ndimage, torch, transformers
compiled = torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1))
print(json.dumps([code, imported, float(compiled)]))
"""


@pytest.fixture
def file(tmp_path):
    color_map = np.random.default_rng(0).integers(60, 200, (4, 4, 3), dtype=np.uint8)
    labels = LabelLayer(np.repeat(np.arange(8, dtype=np.uint8), 8).reshape(8, 8), "landscape-24")
    pipe = SemanticCompressionPipeline.from_pretrained("landscape-256", segmenter=False)
    payload = SemanticPayload(64, 64, labels, ColorLayer.from_color_map(color_map, 32), pipe._recipe(None))
    path = tmp_path / "picture.sgc"
    path.write_bytes(bitstream.encode(payload))
    return path, pipe


def test_a_command_draws_without_what_drawing_does_not_need(file, tmp_path):
    path, pipe = file
    heavy = [*OPTIONAL, "sympy", "torch._inductor", COMPILER]
    arguments = [str(path), str(tmp_path / "drawn.png"), json.dumps(heavy)]
    run = subprocess.run([sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1]) == [0, [], 2.0]  # and afterwards all of it can be had
    expected = pipe.decompress(path.read_bytes(), preset="fast").images[0]
    drawn = np.asarray(Image.open(tmp_path / "drawn.png"), dtype=int)
    assert np.abs(drawn - np.asarray(expected)).max() <= 6  # the command may draw in bfloat16


def test_nothing_is_hidden_where_diffusers_was_imported_before():
    import diffusers  # noqa: F401

    before = dict(sys.modules)
    with lean_diffusers():
        assert sys.modules == before


def test_what_was_hidden_comes_back_after_an_error(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("diffusers", "sentencepiece")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError), lean_diffusers():
        import sentencepiece  # noqa: F401
    assert "sentencepiece" not in sys.modules


def test_a_pipeline_that_only_draws_has_no_segmenter(file):
    _, pipe = file
    assert pipe.segmenter is None and pipe.image_processor is None
    with pytest.raises(ValueError, match="this pipeline only draws"):
        pipe.compress(Image.new("RGB", (64, 64)))
