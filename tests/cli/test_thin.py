"""`sgc thin`: smaller files without decoding, also of folders, and in any order of steps."""

import json
import subprocess
import sys

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state


def file_content(seed=0):
    picture = np.random.default_rng(seed).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    color = ColorLayer.from_color_map(picture[::8, ::8].copy(), 32)
    state = exact_state(picture, color.color_map)
    layers = tuple(DetailLevel(FIRST_KIND + level, state) for level in (1, 4, 8, 15))
    return bitstream.encode(
        SemanticPayload(41, 30, LabelLayer(np.zeros((2, 2), np.uint8), "landscape-24"), color, layers=layers)
    )


@pytest.fixture()
def archive(tmp_path):
    """A folder with x.sgc and below/y.sgc."""
    (tmp_path / "in/below").mkdir(parents=True)
    (tmp_path / "in/x.sgc").write_bytes(file_content())
    (tmp_path / "in/below/y.sgc").write_bytes(file_content(1))
    return tmp_path


def levels(path):
    return [layer.level for layer in bitstream.decode(path.read_bytes(), strict=True).layers]


def test_a_folder_is_thinned_to_a_folder(archive, run):
    code, out, _ = run("thin", archive / "in", "-o", f"{archive}/out/", "--levels", 2, "--json")
    assert code == 0 and [json.loads(line)["layers"][2:] for line in out.splitlines()] == [["detail 1", "detail 4"]] * 2
    assert levels(archive / "out/x.sgc") == levels(archive / "out/below/y.sgc") == [1, 4]
    assert not list(archive.rglob("*.tmp")) and len(list((archive / "out").rglob("*"))) == 3


def test_bytes_are_kept_to_and_steps_commute(archive, run):
    source = archive / "in/x.sgc"
    sizes = list(bitstream.inspect(source.read_bytes()).layer_bytes.values())
    middle, small = source.stat().st_size - sizes[-1], source.stat().st_size - sizes[-1] - sizes[-2]
    for first, second in ((middle, small), (middle + 1, small + 5), (10**6, middle)):
        assert run("thin", source, "-o", archive / "a.sgc", "--max-bytes", first, "--force")[0] == 0
        assert run("thin", archive / "a.sgc", "-o", archive / "b.sgc", "--max-bytes", second, "--force")[0] == 0
        assert run("thin", source, "-o", archive / "c.sgc", "--max-bytes", second, "--force")[0] == 0
        assert (archive / "b.sgc").read_bytes() == (archive / "c.sgc").read_bytes()
        assert (archive / "a.sgc").stat().st_size <= first
    assert levels(archive / "a.sgc") == [1, 4, 8, 15] and levels(archive / "b.sgc") == [1, 4, 8]


def test_colors_alone_and_too_few_bytes(archive, run):
    assert run("thin", archive / "in/x.sgc", "--keep", "color")[0] == 0
    thinned = archive / "in/x.thin.sgc"
    assert levels(thinned) == []
    code, _, err = run("thin", archive / "in/x.sgc", "-o", archive / "b.sgc", "--max-bytes", 20)
    assert code == 1 and f"--max-bytes 20 is too few: labels and colors alone take {thinned.stat().st_size}" in err
    assert not (archive / "b.sgc").exists()


def test_sources_are_never_overwritten_and_one_bad_file_costs_itself(archive, run):
    before = (archive / "in/x.sgc").read_bytes()
    assert run("thin", archive / "in", "-o", archive / "in", "--levels", 1, "--force")[0] == 1
    assert (archive / "in/x.sgc").read_bytes() == before
    (archive / "in/bad.sgc").write_bytes(b"nothing")
    code, _, err = run("thin", archive / "in", "-o", f"{archive}/out/", "--levels", 1)
    assert code == 1 and "bad.sgc" in err and levels(archive / "out/x.sgc") == [1]


def test_sealed_files_need_their_key(archive, run):
    (archive / "key").write_text("00" * 32)
    sealed = bitstream.encode(bitstream.decode(file_content()), key=bytes(32))
    (archive / "sealed.sgc").write_bytes(sealed)
    command = ["thin", archive / "sealed.sgc", "-o", archive / "s.sgc", "--levels", 1]
    assert run(*command)[0] == 1
    assert run(*command, "--key-file", archive / "key")[0] == 0
    assert len(bitstream.decode((archive / "s.sgc").read_bytes(), key=bytes(32)).layers) == 1


def test_torch_is_not_needed_nor_pillow(archive):
    code = (
        "import sys\nfor name in ('torch', 'PIL', 'diffusers'): sys.modules[name] = None\n"
        "from sgc_diffusion.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "thin", str(archive / "in/x.sgc"), "--levels", "0"]
    assert subprocess.run(command, check=False).returncode == 0


def test_an_amount_is_asked_for(archive, capsys, run):
    with pytest.raises(SystemExit):
        run("thin", archive / "in")
    with pytest.raises(SystemExit):
        run("thin", archive / "in", "--levels", 1, "--max-bytes", 100)


def test_an_archive_is_thinned_as_a_whole(folder, tiny_pipeline_folder, run, tmp_path):
    album, small = tmp_path / "album", tmp_path / "small"
    assert run("archive", "pack", folder, album, "--pipeline", tiny_pipeline_folder, "-q", 60)[0] == 0
    before = json.loads(run("archive", "stat", album, "--json")[1])
    code, out, err = run("thin", album, "-o", small, "--total-bytes", 9 * before["file_bytes"] // 10, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["bytes"] <= 0.9 * told["bytes_before"] and told["bytes_before"] == before["file_bytes"]
    assert run("archive", "verify", small)[0] == 0
    assert run("thin", album, "-o", tmp_path / "each", "--max-bytes", 200)[0] == 0
    for arguments in ((album, "--levels", 1), (album, folder, "-o", small, "--levels", 1)):
        code, _, err = run("thin", *arguments)
        assert code == 2 and "thin it alone" in err
    code, _, err = run("thin", folder, "-o", small, "--total-bytes", "1kB")
    assert code == 2 and "is for an archive" in err
