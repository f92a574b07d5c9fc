"""Printing never decides what is done."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgc_diffusion.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ["плажа.png", "日本.png", "ünï×.png", os.fsdecode(b"not-utf8-\xff.png")]


@pytest.fixture()
def odd_names(folder):
    place = folder / "odd"
    place.mkdir()
    for name in NAMES:
        shutil.copy(folder / "a.png", place / name)
    return place


@pytest.fixture()
def run_encoded(monkeypatch):
    """Run a command with standard streams of an encoding that refuse what they cannot hold: exit code and bytes."""

    def run_command(encoding, *arguments):
        streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        code = main([str(argument) for argument in arguments])
        return code, *(stream.buffer.getvalue() for stream in streams.values())

    return run_command


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "cp1252", "cp874", "utf-8"])
def test_names_that_cannot_be_printed_are_coded_all_the_same(odd_names, tiny_pipeline_folder, run_encoded, encoding):
    options = ["--pipeline", tiny_pipeline_folder]
    for extra in ([], ["--json", "--force"]):
        code, out, err = run_encoded(encoding, "compress", odd_names, *extra, *options)
        assert (code, err) == (0, b"sgc: 4 done, 0 skipped, 0 failed" + os.linesep.encode())
        assert {path.name for path in odd_names.glob("*.sgc")} == {f"{name[:-4]}.sgc" for name in NAMES}
    results = [json.loads(line) for line in out.decode(encoding).splitlines()]
    assert {Path(result["input"]).name for result in results} == set(NAMES)
    code, out, err = run_encoded(encoding, "verify", odd_names)
    assert code == 0 and out.count(b": intact") == len(NAMES)
    code, out, err = run_encoded(encoding, "decompress", odd_names, "--steps", 1, *options)
    assert code == 0 and len(list(odd_names.glob("*.decoded.png"))) == len(NAMES)
    (odd_names / f"{NAMES[0][:-4]}.sgc").write_bytes(b"damaged")
    code, out, err = run_encoded(encoding, "inspect", odd_names, "--json")
    errors = [result for result in map(json.loads, out.decode(encoding).splitlines()) if "error" in result]
    assert code == 1 and len(errors) == 1 and b"damaged" not in err


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize("command", ["inspect {}", "verify {}/*.sgc --json", "--help", "decompress {}/huge*"])
def test_a_reader_that_goes_away_is_no_error(command):
    words = [word.format(GOLDEN) for word in command.split()]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sgc_diffusion", *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == {"--help": 0, "inspect": 0}.get(words[0], 1)  # one golden file is sealed, none is huge
    assert "Broken pipe" not in done.stderr and "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs pipes")
def test_files_are_written_though_nobody_reads_the_report(folder, tiny_pipeline_folder, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["compress", str(folder), "--pipeline", str(tiny_pipeline_folder)]) == 0
    assert sorted(path.name for path in folder.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    assert capsys.readouterr().err == "sgc: 2 done, 0 skipped, 0 failed\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_report_that_cannot_be_written_is_told(sgc):
    with open("/dev/full", "wb") as full:
        done = sgc("verify", GOLDEN / "tiny.sgc", stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"sgc: the report cannot be written: No space left on device\n"


def test_a_key_can_come_from_standard_input_unless_the_file_does(run, monkeypatch):
    sealed = GOLDEN / "sealed.sgc"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(range(32)).hex().encode())))
    code, out, _ = run("inspect", sealed, "--key-file", "-")
    assert code == 0 and "labels:" in out
    code, _, err = run("inspect", "-", "--key-file", "-")
    assert code == 2 and "cannot be both" in err
