import json
import subprocess
import sys
import time

import pytest
from PIL import Image

from sgc_diffusion.cli import main

EXECUTABLE = [sys.executable, "-m", "sgc_diffusion.cli"]


@pytest.fixture()
def folder(tmp_path, landscape):
    landscape(64, 48).save(tmp_path / "a.png")
    landscape(40, 40, seed=1).save(tmp_path / "b.jpg")
    return tmp_path


@pytest.fixture()
def compressed(folder, tiny_pipeline_folder):
    assert main(["compress", str(folder), "--pipeline", str(tiny_pipeline_folder)]) == 0
    return folder


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_folder_is_compressed_and_drawn_back(compressed, tiny_pipeline_folder, capsys):
    assert sorted(path.name for path in compressed.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    capsys.readouterr()
    options = ["--pipeline", tiny_pipeline_folder, "--steps", 3, "--json"]
    code, out, _ = run(capsys, "decompress", compressed / "*.sgc", "-o", compressed / "drawn", *options)
    results = json.loads(out)
    assert code == 0
    assert [(one["width"], one["height"]) for one in results] == [(64, 48), (40, 40)]
    assert results[0]["bytes"] == (compressed / "a.sgc").stat().st_size
    with Image.open(results[0]["output"]) as image:
        assert image.size == (64, 48)
        assert "not evidence" in image.text["Description"]


def test_a_budget_and_a_key_file(folder, tiny_pipeline_folder, capsys):
    key, wrong = folder / "key", folder / "wrong"
    key.write_text("11" * 32 + "\n")
    wrong.write_bytes(bytes(32))
    options = ["--pipeline", tiny_pipeline_folder]
    command = ["compress", folder / "a.png", "--max-bytes", 90, "--key-file", key, "--json", *options]
    code, out, _ = run(capsys, *command)
    assert code == 0 and json.loads(out)[0]["bytes"] == (folder / "a.sgc").stat().st_size <= 90
    assert run(capsys, "verify", folder / "a.sgc", "--key-file", key)[0] == 0
    shown = json.loads(run(capsys, "inspect", folder / "a.sgc", "--json")[1])[0]
    assert shown["encrypted"] and list(shown["layers"]) == ["header", "sealed"] and "labels" not in shown
    assert json.loads(run(capsys, "inspect", folder / "a.sgc", "--json", "--key-file", key)[1])[0]["labels"]
    for extra in ([], ["--key-file", wrong]):
        for command in (["verify"], ["decompress", *options]):
            code, _, err = run(capsys, command[0], folder / "a.sgc", *command[1:], *extra)
            assert code == 1 and "key" in err and len(err.strip().splitlines()) == 1
    assert run(capsys, "decompress", folder / "a.sgc", "--steps", 2, "--key-file", key, *options)[0] == 0


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (["--max-bytes", "9"], "the smallest file of this 64×48 picture takes"),
        (["--bpp", "0.0001"], "too few"),
        (["--bpp", "0.1", "--max-bytes", "50"], "give one of them"),
        (["--key-file", "a.png"], "openssl rand -hex 32"),
        (["--key-file", "none"], "No such file or directory"),
    ],
)
def test_budgets_that_cannot_be_met_and_bad_keys(folder, tiny_pipeline_folder, monkeypatch, capsys, extra, part):
    monkeypatch.chdir(folder)
    code, _, err = run(capsys, "compress", "a.png", "--pipeline", tiny_pipeline_folder, *extra)
    assert code == 1 and part in err and len(err.strip().splitlines()) == 1
    assert not (folder / "a.sgc").exists()


def test_existing_outputs_are_kept_unless_forced(compressed, tiny_pipeline_folder, capsys):
    before = (compressed / "a.sgc").read_bytes()
    command = ["compress", compressed / "a.png", "--pipeline", tiny_pipeline_folder]
    (compressed / "a.sgc").write_bytes(b"mine")
    code, _, err = run(capsys, *command)
    assert code == 1 and "--force" in err
    assert (compressed / "a.sgc").read_bytes() == b"mine"
    assert run(capsys, *command, "--force")[0] == 0
    assert (compressed / "a.sgc").read_bytes() == before


def test_bad_files_are_reported_and_the_others_go_on(folder, tiny_pipeline_folder, capsys):
    (folder / "c.png").write_bytes(b"no picture")
    (folder / "d.jpg").write_bytes((folder / "b.jpg").read_bytes()[:200])
    (folder / "e.png").write_bytes(b"")
    code, out, err = run(capsys, "compress", folder, "--pipeline", tiny_pipeline_folder)
    assert code == 1
    assert out.count("bytes") == 2
    assert len(err.strip().splitlines()) == 3 and "Traceback" not in err
    assert sorted(path.name for path in folder.glob("*.sgc")) == ["a.sgc", "b.sgc"]
    assert not list(folder.glob(".*"))  # nothing half-written is left


@pytest.mark.parametrize("command", ["inspect", "verify", "decompress"])
@pytest.mark.parametrize("content", [b"", b"GIF89a" * 20, "truncated", "changed", "trailing"])
def test_damaged_files_give_one_line(compressed, tiny_pipeline_folder, capsys, command, content):
    data = (compressed / "a.sgc").read_bytes()
    bad = compressed / "bad.sgc"
    changed = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    bad.write_bytes({"truncated": data[:-4], "changed": changed, "trailing": data + b"x"}.get(content, content))
    capsys.readouterr()
    extra = ["--pipeline", tiny_pipeline_folder] if command == "decompress" else []
    code, out, err = run(capsys, command, bad, *extra)
    if (command, content) == ("inspect", "changed"):  # what can still be read is shown, with the verdict
        assert "intact: False" in out
        return
    assert code == 1
    assert len(err.strip().splitlines()) == 1 and str(bad) in err
    assert not (compressed / "bad.decoded.png").exists()


def test_inspect_names_layers_labels_and_recipe(compressed, capsys):
    capsys.readouterr()
    code, out, _ = run(capsys, "inspect", compressed / "a.sgc", "--json")
    found = json.loads(out)[0]
    assert code == 0
    assert sum(found["layers"].values()) == found["bytes"] == (compressed / "a.sgc").stat().st_size
    assert abs(sum(found["labels"].values()) - 1) < 1e-3
    assert found["recipe"]["num_inference_steps"] == 20
    assert run(capsys, "inspect", compressed / "a.sgc")[1].count("labels") == 3


def test_inspect_is_quick_and_imports_no_torch(compressed):
    code = (
        "import sys; from sgc_diffusion.cli import main; c = main(sys.argv[1:]); sys.exit(c or 'torch' in sys.modules)"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, "inspect", str(compressed / "a.sgc")], check=True, capture_output=True)
    assert time.perf_counter() - started < 5  # a loaded machine; 0.2 s on an idle one


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["verify", "missing.sgc"], "No such file"),
        (["verify", "none/*.sgc"], "no file matches"),
        (["verify", "."], "the folder holds no .sgc"),
        (["compress", "a.png", "--pipeline", "landscap"], "did you mean 'landscape-256'"),
    ],
)
def test_inputs_that_are_not_there(folder, monkeypatch, capsys, arguments, part):
    monkeypatch.chdir(folder)
    code, _, err = run(capsys, *arguments)
    assert code == 1 and part in err and len(err.strip().splitlines()) == 1


def test_help_has_examples_and_wrong_usage_exits_with_two():
    shown = subprocess.run([*EXECUTABLE, "compress", "--help"], capture_output=True, text=True, check=True)
    assert "sgc compress photo.jpg" in shown.stdout
    assert subprocess.run([*EXECUTABLE, "compress"], capture_output=True, check=False).returncode == 2


def test_candidates_choose_the_seed_of_the_file(folder, tiny_pipeline_folder, tiny_pipeline, capsys):
    options = ["--pipeline", tiny_pipeline_folder, "--candidates", 4]
    assert run(capsys, "compress", folder / "a.png", *options)[0] == 0
    expected = tiny_pipeline.compress(Image.open(folder / "a.png"), num_candidates=4)
    assert (folder / "a.sgc").read_bytes() == expected
    code, _, err = run(capsys, "compress", folder / "b.jpg", "--pipeline", tiny_pipeline_folder, "--candidates", 0)
    assert (code, "`num_candidates`" in err) == (1, True)
