"""`sgc preview`: pictures without a network."""

import json

from PIL import Image

from sgc_diffusion import bitstream


def test_previews_go_beside_their_files(compressed, run):
    code, out, _ = run("preview", compressed, "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [result["width"] for result in results] == [64, 40]
    with Image.open(compressed / "a.preview.png") as image:
        assert image.size == (64, 48) and "no network" in image.info["Description"]
    assert run("preview", compressed)[0] == 1  # are there already
    code, out, _ = run("preview", compressed / "a.sgc", "-o", compressed / "small.webp", "--max-side", 16)
    assert code == 0 and "16x12, preview of" in out
    with Image.open(compressed / "small.webp") as image:
        assert image.size == (16, 12)


def test_a_sealed_file_needs_its_key_and_a_huge_one_a_smaller_side(compressed, run):
    payload = bitstream.decode((compressed / "a.sgc").read_bytes())
    (compressed / "sealed.sgc").write_bytes(bitstream.encode(payload, key=bytes(32)))
    (compressed / "key").write_text("00" * 32)
    code, _, err = run("preview", compressed / "sealed.sgc")
    assert code == 1 and "--key-file" in err
    assert run("preview", compressed / "sealed.sgc", "--key-file", compressed / "key")[0] == 0
    code, _, err = run("preview", compressed / "b.sgc", "--max-pixels", 40 * 40 - 1)
    assert code == 1 and "--max-pixels" in err
    assert run("preview", compressed / "b.sgc", "--max-pixels", 40 * 40 - 1, "--max-side", 39)[0] == 0


def test_through_pipes(compressed, sgc):
    done = sgc("preview", "-", input=(compressed / "a.sgc").read_bytes())
    assert done.returncode == 0 and done.stdout.startswith(b"\x89PNG")
