"""Printing never decides what is done."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ["плажа.png", "日本.png", "ünï×.png", os.fsdecode(b"not-utf8-\xff.png")]


@pytest.fixture()
def odd_names(folder):
    place = folder / "odd"
    place.mkdir()
    for name in NAMES:
        shutil.copy(folder / "a.png", place / name)
    return place


@pytest.mark.parametrize("encoding", ["ascii", "cp1251", "cp1252", "utf-8"])
def test_names_that_cannot_be_printed_are_coded_all_the_same(odd_names, tiny_pipeline_folder, sgc, encoding):
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for extra in ([], ["--json", "--force"]):
        done = sgc("compress", odd_names, *extra, "--pipeline", tiny_pipeline_folder, env=env)
        assert done.returncode == 0 and b"Traceback" not in done.stderr
        assert {path.name for path in odd_names.glob("*.sgc")} == {f"{name[:-4]}.sgc" for name in NAMES}
    results = [json.loads(line) for line in done.stdout.decode(encoding).splitlines()]
    assert {Path(result["input"]).name for result in results} == set(NAMES)
    shown = sgc("verify", odd_names, env=env)
    assert shown.returncode == 0 and shown.stdout.count(b": intact") == len(NAMES)
    done = sgc("decompress", odd_names, "--steps", 1, "--pipeline", tiny_pipeline_folder, env=env)
    assert done.returncode == 0 and len(list(odd_names.glob("*.decoded.png"))) == len(NAMES)


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize("command", ["inspect {}", "verify {}/*.sgc --json", "--help", "doctor"])
def test_a_reader_that_goes_away_is_no_error(command):
    words = [word.format(GOLDEN) for word in command.split()]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "sgc_diffusion", *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    expected = 1 if "sgc" in command or "inspect" in command else 0  # one golden file is sealed
    assert done.returncode in (0, expected)
    assert "Broken pipe" not in done.stderr and "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs pipes")
def test_files_are_written_though_nobody_reads_the_report(folder, tiny_pipeline_folder):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sgc_diffusion", "compress", str(folder), "--pipeline", str(tiny_pipeline_folder)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 0 and sorted(path.name for path in folder.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    assert done.stderr == "sgc: 2 done, 0 skipped, 0 failed\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_report_that_cannot_be_written_is_told(sgc):
    with open("/dev/full", "wb") as full:
        done = sgc("verify", GOLDEN / "tiny.sgc", stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"sgc: the report cannot be written: No space left on device\n"
