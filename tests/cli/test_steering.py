"""Importance and regions from the command: what is kept is exact, what is wrong is one line."""

import json

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.payload import DetailLevel, ImportanceLayer, RegionsLayer
from sgc_diffusion.synthesis.likeness import likeness


@pytest.fixture()
def compress(folder, tiny_pipeline_folder, run):
    def compress(*options):
        target = folder / "out.sgc"
        code, _, err = run(
            "compress", folder / "a.png", "-o", target, "--force", "--pipeline", tiny_pipeline_folder, *options
        )
        return code, err, target

    return compress


def picture(folder):
    return np.asarray(Image.open(folder / "a.png").convert("RGB"))


def test_boxes_are_kept_to_the_bit(compress, folder, run):
    code, err, target = compress("--region", "10,5,20,12", "--region", "40,20,9,9")
    assert code == 0, err
    payload = bitstream.decode(target.read_bytes(), strict=True)
    assert [layer.level for layer in payload.layers if isinstance(layer, DetailLevel)] == [0, 1, 2]
    known = likeness(payload)
    for part in (np.s_[5:17, 10:30], np.s_[20:29, 40:49]):
        assert np.array_equal(known[part], picture(folder)[part])
    assert not np.array_equal(known, picture(folder))
    code, out, _ = run("inspect", target, "--json")
    shown = json.loads(out)
    assert shown["kept"] == "exactly" and shown["regions"]["2 region"].startswith("9x9+40+20")


def test_regions_come_first_and_then_the_rest(compress, folder):
    code, err, target = compress("--region", "10,5,20,12", "--region-quality", "60", "-q", "100")
    assert code == 0, err
    payload = bitstream.decode(target.read_bytes(), strict=True)
    assert np.array_equal(likeness(payload), picture(folder))
    assert payload.layer(RegionsLayer).inner_levels == (4, 4, 4)


def test_what_matters_most_is_kept(compress, folder):
    mask = np.zeros((48, 64), np.uint8)
    mask[8:24, 16:32] = 255
    Image.fromarray(mask).save(folder.parent / "mask.png")
    source = f"mask:{folder.parent / 'mask.png'}"
    code, err, target = compress("--importance", source, "--region-importance", "3")
    assert code == 0, err
    payload = bitstream.decode(target.read_bytes(), strict=True)
    kept = payload.layer(RegionsLayer).pixels(48, 64)
    assert kept[10:22, 18:30].all() and kept.mean() < 0.3
    assert np.array_equal(likeness(payload)[kept], picture(folder)[kept])
    code, err, _ = compress("--region-importance", "3")
    assert code and "give --importance or --weight" in err and len(err.strip().splitlines()) == 1


def test_masks_classes_and_weights(compress, folder, tiny_pipeline_folder):
    mask = np.zeros((48, 64), np.uint8)
    mask[:20, :20] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    (folder / "mask.png").rename(folder.parent / "mask.png")
    code, err, target = compress(
        "--region-mask", folder.parent / "mask.png", "--importance", f"mask:{folder.parent / 'mask.png'}",
        "--weight", "sky=0.5", "--importance-strength", "2", "-q", "50",
    )  # fmt: skip
    assert code == 0, err
    payload = bitstream.decode(target.read_bytes(), strict=True)
    importance = payload.layer(ImportanceLayer)
    assert importance.strength == 2 and importance.levels[0, 0] > importance.levels[-1, -1]
    known = likeness(payload)
    assert np.array_equal(known[:20, :20], picture(folder)[:20, :20])


def test_a_classifier_says_what_matters(compress):
    code, err, target = compress("--importance", "classifier", "-q", "40")
    assert code == 0, err
    levels = bitstream.decode(target.read_bytes(), strict=True).layer(ImportanceLayer).levels
    assert levels.min() < levels.max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "90,90,5,5"], "outside of the 64×48 picture"),
        (["--region-class", "zebra"], "`classes` name ['zebra']"),
        (["--weight", "zebra=4", "-q", "50"], "`weights` name ['zebra']"),
        (["--importance", "magic"], "is no source"),
        (["--region-mask", "nowhere.png"], "nowhere.png"),
        (["--region", "1,2,3,4", "--max-bytes", "200"], "no room for the pixels of regions"),
    ],
)
def test_what_is_wrong_is_one_line(compress, options, message):
    code, err, target = compress(*options)
    assert code != 0 and message in err and "Traceback" not in err and not target.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "1,2,3"], "3 numbers, expected 4"),
        (["--weight", "sky"], "no CLASS=N"),
        (["--region-polygon", "1,2,3,4"], "three or more pairs"),
    ],
)
def test_what_is_no_number_is_told(compress, options, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        compress(*options)
    assert message in capsys.readouterr().err
