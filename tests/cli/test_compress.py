"""`sgc compress`: each picture for itself, nothing lost, everything told."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_folder_is_compressed_beside_its_pictures(compressed):
    assert sorted(path.name for path in compressed.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    assert not list(compressed.glob(".*"))


def test_folders_are_kept_and_json_tells_each_file(folder, tiny_pipeline_folder, run, landscape):
    for name in ("one", "two"):
        (folder / name).mkdir()
        landscape(24, 24).save(folder / name / "a.png")
    code, out, err = run("compress", folder, "-o", folder / "out", "--json", "--pipeline", tiny_pipeline_folder)
    assert code == 0 and err == "sgc: 4 done, 0 skipped, 0 failed\n"
    assert sorted(path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*.sgc")) == [
        "a.sgc",
        "b.sgc",
        "one/a.sgc",
        "two/a.sgc",
    ]
    results = lines(out)
    assert [Path(result["input"]).relative_to(folder).as_posix() for result in results] == [
        "a.png",
        "b.jpg",
        "one/a.png",
        "two/a.png",
    ]
    assert all(Path(result["output"]).stat().st_size == result["bytes"] for result in results)
    assert (results[0]["width"], results[0]["height"]) == (64, 48)


def test_two_sources_of_one_target_are_an_error_before_anything_loads(folder, run, landscape):
    landscape(24, 24).save(folder / "a.jpg")
    code, out, err = run("compress", folder, "--force", "--pipeline", "no-such-pipeline")
    assert (code, out) == (1, "") and "a.jpg" in err and "a.png" in err
    assert len(err.strip().splitlines()) == 1 and not list(folder.glob("*.sgc"))


def test_bad_files_are_reported_and_the_others_go_on(folder, tiny_pipeline_folder, run, landscape):
    (folder / "c.png").write_bytes(b"no picture")
    (folder / "d.jpg").write_bytes((folder / "b.jpg").read_bytes()[:200])
    (folder / "e.png").write_bytes(b"")
    code, out, err = run("compress", folder, "--pipeline", tiny_pipeline_folder)
    assert code == 1
    assert out.count("bytes") == 2
    assert len(err.strip().splitlines()) == 4 and "Traceback" not in err
    assert err.endswith("sgc: 2 done, 0 skipped, 3 failed\n")
    assert sorted(path.name for path in folder.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    assert not list(folder.glob(".*"))  # nothing half-written is left


def test_whatever_a_library_raises_costs_one_file(folder, tiny_pipeline_folder, run):
    """A real plug-in that fails the ways real ones do: Pillow calls it for files with its signature."""
    import torch
    from PIL import ImageFile

    errors = {
        b"T": TypeError("of\nmany lines"),
        b"R": RuntimeError("decoder"),
        b"O": torch.OutOfMemoryError("CUDA out of memory"),
        b"A": AssertionError(),
        b"S": SystemError("no"),
    }

    class BrokenFile(ImageFile.ImageFile):
        format, format_description = "BROKEN", "fails"

        def _open(self):
            self._mode, self._size = "RGB", (8, 8)
            self.kind = self.fp.read(7)[6:]

        def load(self):
            raise errors[self.kind]

    Image.init()
    Image.register_open("BROKEN", BrokenFile, lambda prefix: prefix.startswith(b"BROKEN"))
    Image.register_extension("BROKEN", ".broken")
    try:
        for kind in errors:
            (folder / f"0{kind.decode()}.broken").write_bytes(b"BROKEN" + kind)
        code, out, err = run("compress", folder, "--pipeline", tiny_pipeline_folder, "--json")
    finally:
        del Image.OPEN["BROKEN"], Image.EXTENSION[".broken"]
        Image.ID.remove("BROKEN")
    assert code == 1 and err.endswith("sgc: 2 done, 0 skipped, 5 failed\n")
    assert len(err.splitlines()) == 6 and "Traceback" not in err
    failed = [result for result in lines(out) if "error" in result]
    assert len(failed) == 5 and all(result["error"].startswith(result["input"]) for result in failed)


def test_unmatched_arguments_are_refused_by_name_and_the_others_go_on(folder, tiny_pipeline_folder, run):
    (folder / "empty").mkdir()
    arguments = ["", folder / "empty", folder / "none*.png", folder / "a.png"]
    code, out, err = run("compress", *arguments, "--pipeline", tiny_pipeline_folder, "--json")
    assert code == 1 and (folder / "a.sgc").exists()
    results = lines(out)
    assert [result["input"] for result in results] == [str(argument) for argument in arguments]
    assert ["error" in result for result in results] == [True, True, True, False]
    assert all(result["output"] is None for result in results[:3])
    assert not (folder / "b.sgc").exists() and err.endswith("1 done, 0 skipped, 3 failed\n")


def test_existing_outputs_are_kept_skipped_or_replaced(compressed, tiny_pipeline_folder, run):
    before = (compressed / "a.sgc").read_bytes()
    command = ["compress", compressed / "a.png", "--pipeline", tiny_pipeline_folder]
    (compressed / "a.sgc").write_bytes(b"mine")
    code, _, err = run(*command)
    assert code == 1 and "--force" in err
    assert (compressed / "a.sgc").read_bytes() == b"mine"
    code, out, err = run(*command, "--skip-existing", "--json")
    assert (code, err) == (0, "sgc: 0 done, 1 skipped, 0 failed\n") and lines(out)[0]["skipped"]
    assert (compressed / "a.sgc").read_bytes() == b"mine"
    assert run(*command, "--force")[0] == 0
    assert (compressed / "a.sgc").read_bytes() == before


def test_a_rerun_does_only_what_is_missing_and_loads_nothing_for_nothing(compressed, tiny_pipeline_folder, run):
    command = ["compress", compressed, "--skip-existing", "--pipeline"]
    assert run(*command, "no-such-pipeline")[0] == 0
    (compressed / "b.sgc").unlink()
    code, out, err = run(*command, tiny_pipeline_folder)
    assert code == 0 and out.count("b.sgc") == 1 and "a.sgc" not in out
    assert err.splitlines()[-1] == "sgc: 1 done, 1 skipped, 0 failed"


def test_a_picture_is_never_destroyed(folder, tiny_pipeline_folder, run):
    before = (folder / "b.jpg").read_bytes()
    for output in ("b.jpg", "b.png", "b.JPG"):
        code, _, err = run("compress", folder / "b.jpg", "-o", folder / output, "--force", "--pipeline", "none")
        assert code == 2 and "must end in .sgc" in err
    (folder / "b.sgc").symlink_to(folder / "b.jpg")
    code, _, err = run("compress", folder / "b.jpg", "--force", "--pipeline", tiny_pipeline_folder)
    assert code == 1 and "is an input of this run" in err
    assert (folder / "b.jpg").read_bytes() == before and (folder / "b.sgc").is_symlink()


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (["--max-bytes", "9"], "the smallest file of this 64×48 picture takes"),
        (["--bpp", "0.0001"], "too few"),
        (["--key-file", "a.png"], "openssl rand -hex 32"),
        (["--key-file", "none"], "none: No such file or directory"),
        (["--passphrase-file", "none"], "none: No such file or directory"),
        (["--device", "cuda:99"], "torch finds cpu"),
        (["-o", "nodir/a.sgc"], "nodir/a.sgc: cannot be written: there is no folder nodir"),
    ],
)
def test_what_cannot_be_met_is_one_line(folder, tiny_pipeline_folder, monkeypatch, run, extra, part):
    monkeypatch.chdir(folder)
    code, _, err = run("compress", "a.png", "--pipeline", tiny_pipeline_folder, *extra)
    assert code == 1 and part in err and len(err.strip().splitlines()) == 1
    assert not (folder / "a.sgc").exists()


def test_what_all_files_lack_is_told_once_and_in_json_for_each(folder, run):
    code, out, err = run("compress", folder, "--pipeline", "landscap", "--json")
    assert code == 1 and err.count("did you mean 'landscape-256'") == 1
    assert len(err.splitlines()) == 2 and err.endswith("sgc: 0 done, 0 skipped, 2 failed\n")
    assert [("error" in result, Path(result["input"]).name) for result in lines(out)] == [
        (True, "a.png"),
        (True, "b.jpg"),
    ]


def test_candidates_choose_the_seed_of_the_file(folder, tiny_pipeline_folder, tiny_pipeline, run):
    options = ["--pipeline", tiny_pipeline_folder, "--candidates", 4]
    assert run("compress", folder / "a.png", *options)[0] == 0
    expected = tiny_pipeline.compress(Image.open(folder / "a.png"), num_candidates=4)
    assert (folder / "a.sgc").read_bytes() == expected


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_run_has_told_what_it_did(folder, tiny_pipeline_folder, landscape):
    for number in range(40):
        landscape(32, 32, seed=number).save(folder / f"{number:02}.png")
    command = [sys.executable, "-m", "sgc_diffusion", "compress", str(folder), "-o", str(folder / "out"), "--json"]
    process = subprocess.Popen(
        [*command, "--pipeline", str(tiny_pipeline_folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=120)
    results = lines(first + rest)
    written = {str(path) for path in (folder / "out").glob("*.sgc")}
    assert process.returncode == 130 and "Traceback" not in err
    assert 1 <= len(results) < 42 and {result["output"] for result in results} == written
    assert f"sgc: {len(results)} done, 0 skipped, 0 failed, {42 - len(results)} not done, interrupted" in err
    assert not list((folder / "out").glob(".*"))


def test_a_picture_can_come_through_a_pipe_and_the_file_leave_through_one(folder, tiny_pipeline_folder, sgc, run):
    options = ["--pipeline", tiny_pipeline_folder]
    with (folder / "a.png").open("rb") as picture:
        done = sgc("compress", "-", *options, stdin=picture)
    assert done.returncode == 0 and b"bytes" in done.stderr
    assert run("compress", folder / "a.png", *options)[0] == 0
    assert done.stdout == (folder / "a.sgc").read_bytes()
