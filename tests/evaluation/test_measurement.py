"""The harness: accounting against `stat`, budgets, resuming, what goes wrong; real worker processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.image import PeakSignalNoiseRatio

from sgc_diffusion.evaluation import measurement, processes
from sgc_diffusion.evaluation.codecs import expand_specs
from sgc_diffusion.evaluation.measurement import evaluate
from sgc_diffusion.evaluation.pictures import find_pictures, prepare_picture
from sgc_diffusion.evaluation.processes import CodingError, WorkerProcess
from sgc_diffusion.evaluation.scoring import Scorer

ROOT = Path(__file__).parents[2]


class PsnrEvaluator:
    """A small real evaluator: PSNR of a picture, and of a whole set."""

    def __init__(self):
        self.unavailable = {"musiq": "no weights: fetch them"}
        self.num_measured = 0

    def measure(self, original, decoded):
        self.num_measured += 1
        darkness = {"darkness": float(1 - decoded.mean() / 255)}
        if original is None:
            return darkness
        tensors = [torch.from_numpy(one.astype(np.float32)) for one in (decoded, original)]
        return darkness | {"psnr": float(PeakSignalNoiseRatio(data_range=255.0)(*tensors))}

    def start_set(self):
        self._psnr = PeakSignalNoiseRatio(data_range=255.0)

    def add(self, original, decoded):
        self._psnr.update(*(torch.from_numpy(one.astype(np.float32)) for one in (decoded, original)))

    def finish_set(self):
        return {"set_psnr": float(self._psnr.compute())}


@pytest.fixture()
def pictures(tmp_path, landscape):
    """A folder with an odd PNG, a WebP and a damaged JPEG."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    landscape(61, 47).save(folder / "hills.png")
    landscape(64, 48, seed=1).save(folder / "meadow.webp", lossless=True)
    landscape(64, 48, seed=2).save(folder / "broken.jpg")
    data = (folder / "broken.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(data[: len(data) // 2])
    return folder


@pytest.fixture()
def count_jobs(monkeypatch):
    """Count what worker processes are asked to do, by kind; they do it."""
    done = []
    run = WorkerProcess.run

    def counted(self, **job):
        done.append(job["do"])
        return run(self, **job)

    monkeypatch.setattr(processes.WorkerProcess, "run", counted)
    return done


def test_rows_tell_what_is_on_disk(pictures, tmp_path):
    scorer = Scorer(PsnrEvaluator())
    results = evaluate(
        [pictures], ["jpeg:quality=20", "vvc@200"], tmp_path / "out" / "hills", work=tmp_path / "work",
        scorer=scorer, command="python …",
    )  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out" / "hills").iterdir()) == [
        "jpeg-quality20.json", "original.json", "vvc-200b.json"
    ]  # fmt: skip
    for name, suffix in (("jpeg-quality20", ".jpg"), ("vvc-200b", ".266")):
        result = json.loads((tmp_path / "out" / "hills" / f"{name}.json").read_text())
        assert result == json.loads(json.dumps(results[name]))
        assert (result["schema"], result["codec"], result["set"], result["num_images"]) == (1, name, "hills", 2)
        assert result["metrics_unavailable"] == {"musiq": "no weights: fetch them"}
        assert [one["image"] for one in result["failures"]] == ["broken"]
        assert "damaged" in result["failures"][0]["error"] and str(tmp_path) not in result["failures"][0]["error"]
        assert [row["image"] for row in result["rows"]] == ["hills", "meadow"]
        for row in result["rows"]:
            size_bytes = os.stat(tmp_path / "work" / name / f"{row['image']}{suffix}").st_size
            assert row["bytes"] == size_bytes
            assert row["bpp"] == pytest.approx(8 * size_bytes / (row["width"] * row["height"]))
            assert row["encode_s"] > 0 and row["decode_s"] > 0
            assert 10 < row["encode_peak_mib"] < 1000 and 10 < row["decode_peak_mib"] < 1000
            assert row["seed"] == 0
            decoded = np.asarray(Image.open(tmp_path / "work" / name / f"{row['image']}.png"), dtype=np.float64)
            original = np.asarray(Image.open(next(pictures.glob(f"{row['image']}.*"))).convert("RGB"))
            assert row["metrics"]["psnr"] == pytest.approx(
                10 * np.log10(255**2 / ((decoded - original) ** 2).mean()), 1e-4
            )
        assert result["set_metrics"]["set_psnr"] > 15
    assert all(row["bytes"] <= 200 == row["budget_bytes"] for row in results["vvc-200b"]["rows"])
    assert [sorted(row["metrics"]) for row in results["original"]["rows"]] == [["darkness"]] * 2


def test_what_is_finished_is_not_done_again(pictures, tmp_path, count_jobs):
    def run(**options):
        count_jobs.clear()
        scorer.evaluator.num_measured = 0
        codecs = options.pop("codecs", ["jpeg:quality=20", "webp@300"])
        out = tmp_path / options.pop("out", "first")
        results = evaluate([pictures], codecs, out, work=tmp_path / "work", scorer=scorer, **options)
        return results, sorted(count_jobs), scorer.evaluator.num_measured

    scorer = Scorer(PsnrEvaluator(), key="a")
    first, jobs, measured = run()
    assert jobs == ["decode"] * 4 + ["encode"] * 4 + ["fit"] * 2
    assert measured == 6
    again, jobs, measured = run()
    assert (jobs, measured) == ([], 0)
    assert again == first
    (tmp_path / "work" / "webp-300b" / "hills.png").unlink()
    assert run()[1:] == (["decode"], 0)
    assert run(codecs=["jpeg:quality=30"])[1:] == (["decode"] * 2 + ["encode"] * 2, 2)
    Image.new("RGB", (40, 40), (9, 80, 7)).save(pictures / "hills.png")  # another picture under the same name
    assert run(out="other")[1] == ["decode"] * 2 + ["encode"] * 2 + ["fit"]
    scorer = Scorer(PsnrEvaluator(), key="other weights")
    assert run(out="other")[1:] == ([], 6)


def test_anchors_get_the_bytes_of_sgc_and_seeds_are_rows(pictures, tiny_pipeline_folder, tmp_path, count_jobs):
    codecs = ["jpeg@budget", "webp-down@budget", f"sgc:pipeline={tiny_pipeline_folder}:steps=2"]
    results = evaluate([pictures], codecs, tmp_path / "out", work=tmp_path / "work", budget="same", num_seeds=2)
    sgc, jpeg, reduced = results.values()
    assert sgc["generative"] and sgc["family"] == "sgc"
    assert [(row["image"], row["seed"]) for row in sgc["rows"]] == [
        ("hills", 0), ("hills", 1), ("meadow", 0), ("meadow", 1)
    ]  # fmt: skip
    assert sorted(sgc["load_s"]) == ["decode", "encode"]
    budgets = {row["image"]: row["bytes"] for row in sgc["rows"]}
    for row in jpeg["rows"]:
        assert row["budget_bytes"] == budgets[row["image"]] < row["bytes"]
        assert row["is_floor"] and "floor" in row["setting"]
    for row in reduced["rows"]:
        assert row["bytes"] <= row["budget_bytes"] == budgets[row["image"]]
        assert not row["is_floor"] and row["search_s"] > 0
    folder = tmp_path / "work" / sgc["codec"]
    first, second = (np.asarray(Image.open(folder / name)) for name in ("hills.png", "hills.seed1.png"))
    assert not np.array_equal(first, second)
    count_jobs.clear()
    more = evaluate([pictures], codecs, tmp_path / "out", work=tmp_path / "work", budget="same", num_seeds=3)
    assert count_jobs == ["decode"] * 2  # the third seed of two pictures
    assert more[sgc["codec"]]["rows"][0] == sgc["rows"][0]


def test_pictures_are_taken_as_center_squares(pictures, tmp_path, landscape):
    picture = prepare_picture(pictures / "meadow.webp", tmp_path / "square.png", size=32)
    expected = landscape(64, 48, seed=1).crop((8, 0, 56, 48)).resize((32, 32), Image.Resampling.LANCZOS)
    assert (picture.width, picture.height) == (32, 32)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "square.png")), np.asarray(expected))


def test_wrong_places_give_one_clear_error(pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    for images, message in [
        (tmp_path / "nowhere", "is no file or folder"),
        (tmp_path / "empty", "holds no"),
        (tmp_path / "*.png", "no file matches"),
        (pictures / "broken.jpg", "none of 1 pictures can be read"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate([images], ["jpeg:quality=5"], tmp_path / "out", work=tmp_path / "work")
    assert not (tmp_path / "out").exists()
    shutil.copy(pictures / "hills.png", pictures / "hills.webp")
    with pytest.raises(ValueError, match="two pictures called hills"):
        find_pictures([pictures])
    assert list(find_pictures([pictures / "*.png"])) == ["hills"]


def test_results_of_different_pictures_do_not_mix(pictures, tmp_path):
    evaluate([pictures], ["jpeg:quality=5"], tmp_path / "out", work=tmp_path / "work")
    with pytest.raises(ValueError, match="other pictures"):
        evaluate([pictures], ["webp:quality=5"], tmp_path / "out", work=tmp_path / "work", size=32)


def test_a_process_that_dies_costs_one_job(landscape, tmp_path):
    landscape(32, 32).save(tmp_path / "x.png")
    job = {"do": "encode", "spec": "jpeg:quality=9", "image": str(tmp_path / "x.png"), "path": str(tmp_path / "x.jpg")}
    with WorkerProcess() as worker:
        assert worker.run(**job)["setting"] == "quality 9"
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(CodingError, match="killed by signal 9"):
            worker.run(**job)
        with pytest.raises(CodingError, match="FileNotFoundError"):
            worker.run(**job | {"image": str(tmp_path / "nothing.png")})
        assert worker.run(**job)["seconds"] > 0


def test_peak_memory_is_that_of_the_job(landscape, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "small.png")
    Image.effect_noise((3000, 3000), 50).convert("RGB").save(tmp_path / "large.png", compress_level=1)
    peaks = []
    ballast = np.ones(300 * 2**20, np.uint8)  # the harness is large itself, which must not show
    for name in ("small", "large"):
        with WorkerProcess() as worker:
            job = {"do": "encode", "spec": "jpeg:quality=5", "path": str(tmp_path / "x.jpg")}
            peaks.append(worker.run(**job, image=str(tmp_path / f"{name}.png"))["peak_mib"])
    assert ballast[0] and peaks[0] < 200
    assert peaks[1] > peaks[0] + 25  # 27 MB of pixels


def open_odd(file, name):
    raise RuntimeError("no decoder for\nthis profile")


@pytest.fixture()
def odd_picture(pictures, monkeypatch):
    """A picture of a format whose plug-in for Pillow fails in its own way."""
    for registry in ("OPEN", "EXTENSION", "ID"):
        monkeypatch.setattr(Image, registry, getattr(Image, registry).copy())
    Image.register_open("ODD", open_odd, lambda prefix: prefix.startswith(b"odd"))
    Image.register_extension("ODD", ".odd")
    (pictures / "odd.odd").write_bytes(b"odd picture")


class FragileEvaluator(PsnrEvaluator):
    """Fails on dark pictures, and on sets, in ways that no list of exceptions foresees."""

    def measure(self, original, decoded):
        if decoded.mean() < 60:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 9 GiB")
        return super().measure(original, decoded)

    def finish_set(self):
        raise KeyError("covariance")


def test_whatever_a_picture_raises_costs_that_picture(pictures, odd_picture, tmp_path, landscape, monkeypatch):
    Image.new("RGB", (40, 40), (9, 30, 7)).save(pictures / "night.png")
    landscape(48, 32, seed=3).save(pictures / "lost.png")
    run = WorkerProcess.run

    def run_or_fail(self, **job):
        if job["do"] == "decode" and "lost" in job["path"]:
            raise MemoryError
        return run(self, **job)

    monkeypatch.setattr(processes.WorkerProcess, "run", run_or_fail)
    scorer = Scorer(FragileEvaluator())
    results = evaluate([pictures], ["jpeg:quality=20"], tmp_path / "out", work=tmp_path / "work", scorer=scorer)
    result = results["jpeg-quality20"]
    failures = {each["image"]: each["error"] for each in result["failures"]}
    assert failures["odd"] == "odd.odd is damaged or cut short: no decoder for this profile"
    assert failures["lost"] == "MemoryError"
    assert failures["night"].startswith("metrics of seed 0: OutOfMemoryError: CUDA out of memory. Tried")
    assert failures["all pictures"] == "metrics of the set: KeyError: 'covariance'"
    assert set(failures) == {"odd", "lost", "night", "all pictures", "broken"}
    metrics = {row["image"]: row["metrics"] for row in result["rows"]}
    assert set(metrics) == {"hills", "meadow", "night"} and metrics["night"] == {}
    assert metrics["hills"]["psnr"] > 15 and metrics["meadow"]["psnr"] > 15


def test_results_of_one_picture_are_never_those_of_another(pictures):
    for name, message in (("HILLS.png", "two pictures called hills"), ("hills.seed1.png", "is called as a result of")):
        shutil.copy(pictures / "hills.png", pictures / name)
        with pytest.raises(ValueError, match=message):
            find_pictures([pictures])
        (pictures / name).unlink()
    (pictures / "._hills.png").write_bytes(b"what macOS keeps beside a file")
    (pictures / "notes.txt").write_text("no picture")
    assert list(find_pictures([pictures])) == ["broken", "hills", "meadow"]


def test_the_command_line(pictures, tmp_path):
    def run(*arguments):
        command = [sys.executable, "eval/run.py", "--work", str(tmp_path / "work"), "--metrics", "none", "--no-report"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*command, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment, check=False
        )

    codecs = ("--codecs", "jpeg:quality=5", "--out", str(tmp_path / "out"))
    done = run("--images", str(pictures), *codecs)
    assert done.returncode == 1  # one picture is damaged
    assert "broken" in done.stderr and "1 results" in done.stdout
    assert len(json.loads((tmp_path / "out" / "jpeg-quality5.json").read_text())["rows"]) == 2
    wrong = run("--images", str(tmp_path / "nowhere"), *codecs)
    assert wrong.returncode == 2
    assert wrong.stderr.strip().splitlines()[-1].startswith("eval/run.py: `images`:")
    assert "Traceback" not in wrong.stderr


def test_the_commit_is_that_of_the_checkout():
    if not (ROOT / ".git").exists():  # an unpacked archive
        assert measurement.commit() == ""
        return
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert measurement.commit().removesuffix("-dirty") == head.stdout.strip()


def test_sgc_comes_first_so_that_others_can_have_its_bytes():
    assert expand_specs(["vvc@budget", "sgc"], "same")[0] == "sgc"
