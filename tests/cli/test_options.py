"""Values are checked while the command line is read: once, before anything is loaded, with exit code 2."""

import subprocess
import sys

import pytest

CHECK = """
import sys
from sgc_diffusion.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as error:
    code = error.code
print('torch' in sys.modules)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "a.png", "--preset", "foo"],
        ["compress", "a.png", "--candidates", "0"],
        ["compress", "a.png", "--candidates", "65537"],
        ["compress", "a.png", "--candidates", "two"],
        *(["compress", "a.png", "--bpp", value] for value in ("-1", "0", "inf", "nan", "x")),
        *(["compress", "a.png", "--max-bytes", value] for value in ("0", "-80", "1.5", "80b")),
        ["compress", "a.png", "--bpp", "0.1", "--max-bytes", "50"],
        ["compress", "a.png", "--force", "--skip-existing"],
        ["compress", "a.png", "-o", ""],
        ["compress", "a.png", "--pipeline", " "],
        ["compress", "a.png", "-o", "a.png", "--force"],
        ["compress", "-", "--json"],
        ["compress"],
        ["compres", "a.png"],
        *(["decompress", "a.sgc", "--device", value] for value in ("foo", "cuda:x", "CUDA", "cuda:", "meta")),
        *(["decompress", "a.sgc", "--steps", value] for value in ("-3", "0", "1001", "2.5", "x")),
        *(["decompress", "a.sgc", "--strength", value] for value in ("7", "-0.5", "nan", "inf", "0.123")),
        *(["decompress", "a.sgc", "--guidance", value] for value in ("-1", "99", "nan")),
        *(["decompress", "a.sgc", "--seed", value] for value in ("-1", "65536", "0x10")),
        *(["decompress", "a.sgc", "--max-pixels", value] for value in ("0", "-1", "many")),
        ["decompress", "a.sgc", "--scheduler", "euler"],
        ["decompress", "a.sgc", "--key-file", "a", "--passphrase-file", "b"],
        ["verify", "a.sgc", "--key-file", ""],
    ],
    ids=" ".join,
)
def test_bad_values(folder, monkeypatch, capsys, arguments):
    from sgc_diffusion.cli import main

    monkeypatch.chdir(folder)
    with open("a.sgc", "wb") as file:
        file.write(b"never read")
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2 and not captured.out
    assert len([line for line in captured.err.splitlines() if line.startswith("sgc")]) == 1  # usage is above it


def test_they_are_found_without_torch(folder):
    command = [sys.executable, "-c", CHECK, "decompress", *[str(folder / "x.sgc")] * 3, "--strength", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert done.stderr.count("strength") <= 2  # the usage, and the error


def test_help_has_examples_and_says_what_an_output_means(sgc):
    shown = sgc("compress", "--help").stdout.decode()
    assert "sgc compress photo.jpg" in shown
    text = " ".join(shown.split())
    assert "ends in / or has no suffix, and an existing folder, is a folder" in text and "--skip-existing" in text
    assert shown.isascii()  # any terminal can show it
    assert "exit codes: 0 all went well" in sgc("--help").stdout.decode()
