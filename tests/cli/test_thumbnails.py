"""`sgc decompress --max-side`."""

import dataclasses
import json

from PIL import Image

from sgc_diffusion import bitstream


def test_the_command_makes_thumbnails(compressed, tiny_pipeline_folder, run):
    payload = bitstream.decode((compressed / "a.sgc").read_bytes())
    (compressed / "a.sgc").write_bytes(bitstream.encode(dataclasses.replace(payload, width=12000, height=9000)))
    options = ["--pipeline", tiny_pipeline_folder, "--steps", 2, "--json"]
    code, _, err = run("decompress", compressed / "a.sgc", *options)
    assert code == 1 and "--max-side" in err
    for decoder in ([], ["--decoder", "likeness"], ["--decoder", "preview"], ["--show-invented"]):
        code, out, err = run(
            "decompress",
            compressed / "a.sgc",
            "-o",
            compressed / "t.png",
            "--max-side",
            40,
            "--force",
            *options,
            *decoder,
        )
        if decoder == ["--show-invented"]:  # what is known is marked in the whole picture
            assert code == 1 and "--max-pixels" in err
            continue
        assert code == 0, err
        assert (json.loads(out)["width"], json.loads(out)["height"]) == (40, 30)
        assert Image.open(compressed / "t.png").size == (40, 30)
