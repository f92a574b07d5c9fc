"""`sgc inspect` and `sgc verify`: what files say and whether it is true, without torch."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("command", ["inspect", "verify", "decompress"])
@pytest.mark.parametrize("content", [b"", b"GIF89a" * 20, "truncated", "changed", "trailing"])
def test_damaged_files_give_one_line(compressed, tiny_pipeline_folder, run, command, content):
    data = (compressed / "a.sgc").read_bytes()
    bad = compressed / "bad.sgc"
    changed = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    bad.write_bytes({"truncated": data[:-4], "changed": changed, "trailing": data + b"x"}.get(content, content))
    extra = ["--pipeline", tiny_pipeline_folder] if command == "decompress" else []
    code, out, err = run(command, bad, *extra)
    if content == "trailing" and command == "decompress":  # an optional layer that was cut costs itself
        assert code == 0 and "damaged" in err and len(err.strip().splitlines()) == 1
        return
    assert code == 1
    assert len(err.strip().splitlines()) == 1 and str(bad) in err
    if command == "inspect" and content in ("changed", "trailing"):  # what can still be read is shown, with the verdict
        assert "intact: False" in out
    assert not (compressed / "bad.decoded.png").exists()


def test_inspect_names_layers_labels_and_recipe(compressed, run):
    code, out, _ = run("inspect", compressed / "a.sgc", "--json")
    shown = json.loads(out)
    assert code == 0
    assert sum(shown["layers"].values()) == shown["bytes"] == (compressed / "a.sgc").stat().st_size
    assert abs(sum(shown["labels"].values()) - 1) < 1e-3
    assert shown["recipe"]["num_inference_steps"] == 20
    assert run("inspect", compressed / "a.sgc")[1].count("labels") == 3


def test_both_say_the_same_under_the_same_names(compressed, run):
    (compressed / "bad.sgc").write_bytes(b"SGC")
    files = [compressed / "a.sgc", compressed / "bad.sgc"]
    inspected, verified = (lines(run(command, *files, "--json")[1]) for command in ("inspect", "verify"))
    for ours, theirs in zip(inspected, verified, strict=True):
        assert set(theirs) <= set(ours)
        assert {name: ours[name] for name in theirs} == theirs
        assert ours["input"] and ours["output"] is None
    assert "error" not in inspected[0] and inspected[1]["error"]


def test_a_damaged_file_keeps_the_common_names_in_json(compressed, run):
    data = bytearray((compressed / "a.sgc").read_bytes())
    data[-5] ^= 1
    (compressed / "a.sgc").write_bytes(data)
    code, out, _ = run("inspect", compressed / "a.sgc", "--json")
    shown = json.loads(out)
    assert code == 1 and shown["intact"] is False and "checksum" in shown["error"] and shown["layers"]


def test_layers_of_a_later_version_are_listed_and_no_fault(run):
    path = GOLDEN / "unknown-layers.sgc"
    assert run("verify", path)[0] == 0
    shown = json.loads(run("inspect", path, "--json")[1])
    assert shown["unknown"] and set(shown["unknown"]) <= set(shown["layers"]) and shown["intact"]


def test_every_golden_file_is_verified(run):
    paths = [path for path in sorted(GOLDEN.glob("*.sgc")) if path.name != "sealed.sgc"]
    code, out, err = run("verify", *paths)
    assert code == 0 and out.count(": intact") == len(paths)
    assert err == f"sgc: {len(paths)} done, 0 skipped, 0 failed\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["compress", "--help"], ["inspect"], ["verify"], ["convert", "--help"]]
)
def test_torch_is_not_needed(arguments):
    code = "import sys; sys.modules['torch'] = None; from sgc_diffusion.cli import main; sys.exit(main(sys.argv[1:]))"
    files = [str(GOLDEN / "tiny.sgc")] if len(arguments) == 1 and arguments != ["--help"] else []
    done = subprocess.run([sys.executable, "-c", code, *arguments, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr


def test_inspect_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; from sgc_diffusion.cli import main; c = main(sys.argv[1:]);"
        "sys.exit(c or any(name in sys.modules for name in ('torch', 'diffusers', 'transformers', 'scipy', 'PIL')))"
    )
    command = [sys.executable, "-c", code, "inspect", str(GOLDEN / "tiny.sgc")]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    assert time.perf_counter() - started < 5  # a loaded machine; 0.2 s on an idle one


def test_a_file_can_come_through_a_pipe(sgc):
    with (GOLDEN / "tiny.sgc").open("rb") as file:
        done = sgc("verify", "-", stdin=file)
    assert (done.returncode, done.stdout) == (0, b"-: intact\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["verify", "missing.sgc"], "No such file"),
        (["verify", "none/*.sgc"], "no file matches"),
        (["verify", "."], "the folder holds no .sgc"),
    ],
)
def test_inputs_that_are_not_there(folder, monkeypatch, run, arguments, part):
    monkeypatch.chdir(folder)
    code, _, err = run(*arguments)
    assert code == 1 and part in err and len(err.strip().splitlines()) == 1
