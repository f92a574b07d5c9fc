"""`--jobs`: several files at once give what one after the other gives."""

import json
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.cli.parallel import run_at_once

GOLDEN = Path(__file__).parents[1] / "golden"
NUM_FILES = 300  # more than are done until somebody looks


def summaries(out):
    results = map(json.loads, out.splitlines())
    return sorted((Path(result["input"]).name, result.get("bytes"), "error" in result) for result in results)


@pytest.mark.slow
def test_two_at_once_give_the_same_files(folder, tiny_pipeline_folder, run):
    (folder / "d.png").write_bytes(b"no picture")
    told = {}
    for jobs in (1, 2):
        options = ["--pipeline", tiny_pipeline_folder, "-o", folder / str(jobs), "--jobs", jobs, "--json"]
        code, out, err = run("compress", folder / "*.png", folder / "b.jpg", *options)
        assert code == 1 and err.endswith("sgc: 2 done, 0 skipped, 1 failed\n") and err.count("d.png") == 1
        told[jobs] = summaries(out)
    assert told[1] == told[2] and len(told[1]) == 3
    for name in ("a.sgc", "b.sgc"):
        assert (folder / "1" / name).read_bytes() == (folder / "2" / name).read_bytes()


def test_two_at_once_give_the_same_likenesses(tmp_path, run):
    (tmp_path / "bad.sgc").write_bytes(b"SGC no file")
    files = [tmp_path / "bad.sgc", GOLDEN / "coco-32.sgc", *GOLDEN.glob("detail-*.sgc")]
    told = {}
    for jobs in (1, 2):
        options = ["--decoder", "likeness", "-o", tmp_path / f"{jobs}/", "--jobs", jobs, "--json"]
        code, out, err = run("decompress", *files, *options)
        assert code == 1 and err.count("bad.sgc") == 1
        told[jobs] = summaries(out)
    assert told[1] == told[2] and len(told[1]) == len(files)
    for path in (tmp_path / "1").iterdir():
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(tmp_path / "2" / path.name)))


def test_all_that_goes_to_other_processes_can_go_there(tmp_path, run, monkeypatch):
    sent = []

    def run_here(jobs, prepare, report, num_processes=1, *describe):
        sent.append(pickle.dumps((jobs, prepare, *describe)))
        return run_at_once(jobs, prepare, report, 1, *describe)

    monkeypatch.setattr("sgc_diffusion.cli.decompress.run_at_once", run_here)
    code, _, err = run("decompress", GOLDEN / "tiny.sgc", "-o", f"{tmp_path}/", "--pipeline", "no-such-pipeline")
    assert code == 1 and "no-such-pipeline" in err and len(sent) == 2


@pytest.mark.slow
def test_two_at_once_draw_the_same_pictures(compressed, tiny_pipeline_folder, run):
    for jobs in (1, 2):
        options = ["--pipeline", tiny_pipeline_folder, "-o", f"{compressed}/{jobs}/", "--jobs", jobs, "--steps", 2]
        assert run("decompress", compressed / "*.sgc", *options)[0] == 0
    for name in ("a.decoded.png", "b.decoded.png"):
        first, second = (np.asarray(Image.open(compressed / str(jobs) / name)) for jobs in (1, 2))
        assert np.array_equal(first, second)
    code, _, err = run("decompress", compressed / "*.sgc", "--pipeline", "no-such-pipeline", "--force", "--jobs", 2)
    assert code == 1 and err.count("no-such-pipeline") == 1 and err.endswith("sgc: 0 done, 0 skipped, 2 failed\n")


def test_processes_do_not_share_standard_input(folder, run):
    code, _, err = run("compress", folder, "-", "-o", f"{folder}/out/", "--jobs", 2)
    assert code == 2 and "--jobs" in err
    assert not list(folder.glob("out/*"))


def test_an_interruption_ends_what_is_begun_and_no_more(tmp_path):
    data = (GOLDEN / "detail-exact.sgc").read_bytes()
    for index in range(NUM_FILES):
        (tmp_path / f"{index:03}.sgc").write_bytes(data)
    command = [sys.executable, "-m", "sgc_diffusion", "decompress", str(tmp_path), "--decoder", "likeness"]
    command += ["-o", str(tmp_path / "out"), "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*.png")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 130 and b"interrupted" in error and b"Traceback" not in error
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < NUM_FILES and all(path.suffix == ".png" for path in written)  # nothing half-written
