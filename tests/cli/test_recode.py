"""`sgc recode`: recipe and key change, layers do not; nothing is drawn."""

import json
from pathlib import Path

import pytest

from sgc_diffusion import bitstream

PLAIN = bytes(32)
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture()
def keys(tmp_path):
    (tmp_path / "old").write_text("00" * 32)
    (tmp_path / "new").write_text("11" * 32)
    (tmp_path / "words").write_text("correct horse battery\n")
    return tmp_path


def test_the_recipe_changes_and_nothing_else(compressed, run):
    before = bitstream.decode((compressed / "a.sgc").read_bytes())
    code, out, _ = run("recode", compressed, "--seed", 7, "--preset", "fast", "--json")
    assert code == 0 and [json.loads(line)["encrypted"] for line in out.splitlines()] == [False, False]
    after = bitstream.decode((compressed / "a.recoded.sgc").read_bytes())
    assert (after.recipe.seed, after.recipe.scheduler, after.recipe.num_inference_steps) == (7, "lcm", 1)
    assert (after.recipe.profile, after.recipe.weights_hash) == (before.recipe.profile, before.recipe.weights_hash)
    assert after.labels == before.labels and after.color == before.color and after.layers == before.layers
    back = bitstream.recode(bitstream.encode(after), recipe=vars(before.recipe))
    assert back == (compressed / "a.sgc").read_bytes()


def test_layers_that_are_not_known_are_kept():
    data = bitstream.encode(bitstream.decode((GOLDEN / "unknown-layers.sgc").read_bytes()))
    layers = bitstream.decode(data).layers
    assert layers and bitstream.decode(bitstream.recode(data, recipe={"seed": 3})).layers == layers
    with pytest.warns(bitstream.DamagedLayerWarning):
        bitstream.recode(data + b"\x7f\x05cut", recipe={"seed": 3})
    with pytest.raises(bitstream.CorruptSectionError):
        bitstream.recode(data[:10] + bytes([data[10] ^ 1]) + data[11:])


def test_a_key_is_given_changed_and_taken_away(compressed, keys, run):
    file, sealed, rotated, plain = (compressed / f"{name}.sgc" for name in ("a", "sealed", "rotated", "plain"))
    assert run("recode", file, "-o", sealed, "--new-key-file", keys / "old")[0] == 0
    assert bitstream.decode(sealed.read_bytes(), key=PLAIN) == bitstream.decode(file.read_bytes())
    code, _, err = run("recode", sealed, "-o", rotated, "--new-key-file", keys / "new")
    assert code == 1 and "--key-file" in err
    opened = ["recode", sealed, "--key-file", keys / "old"]
    assert run(*opened, "-o", rotated, "--new-passphrase-file", keys / "words")[0] == 0
    words = bitstream.Passphrase("correct horse battery")
    assert bitstream.decode(rotated.read_bytes(), key=words) == bitstream.decode(file.read_bytes())
    assert run(*opened, "-o", plain, "--unseal")[0] == 0 and plain.read_bytes() == file.read_bytes()
    assert run(*opened, "-o", rotated, "--seed", 9, "--force")[0] == 0  # stays under its key
    assert bitstream.decode(rotated.read_bytes(), key=PLAIN).recipe.seed == 9


def test_what_changes_nothing_is_a_mistake(compressed, run):
    for options in ((), ("--unseal",)):
        code, _, err = run("recode", compressed / "a.sgc", *options)
        assert code == 2 and "recode:" in err
