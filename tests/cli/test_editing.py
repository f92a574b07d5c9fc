"""`sgc relabel` and `sgc crop`."""

import json

import numpy as np

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, LabelLayer, SemanticPayload


def write(path):
    labels = LabelLayer(np.array([[1, 10], [1, 9]], np.uint8), "landscape-24")
    color = ColorLayer.from_color_map(np.full((4, 4, 3), 90, np.uint8), 32)
    path.write_bytes(bitstream.encode(SemanticPayload(40, 30, labels, color)))


def test_relabel(tmp_path, run):
    write(tmp_path / "a.sgc")
    code, out, _ = run("relabel", tmp_path / "a.sgc", "--map", "sea=field", "--json")
    assert code == 0 and json.loads(out)["share"] == 0.25
    assert bitstream.decode((tmp_path / "a.relabeled.sgc").read_bytes()).label_map.tolist() == [[1, 9], [1, 9]]
    code, _, err = run("relabel", tmp_path / "a.sgc", "--map", "sea=nowhere", "-o", tmp_path / "b.sgc")
    assert code == 1 and "--map has nowhere" in err and not (tmp_path / "b.sgc").exists()


def test_crop(tmp_path, run):
    write(tmp_path / "a.sgc")
    assert run("crop", tmp_path / "a.sgc", "--box", "20,0,20x15", "-o", tmp_path / "b.sgc")[0] == 0
    part = bitstream.decode((tmp_path / "b.sgc").read_bytes())
    assert (part.width, part.height, part.label_map.tolist()) == (20, 15, [[10]])
    code, _, err = run("crop", tmp_path / "a.sgc", "--box", "30,0,20x15", "-o", tmp_path / "c.sgc")
    assert code == 1 and "within 40×30" in err
