"""`sgc --print-completion`: bash completes commands, options, values and files by it."""

import shutil
import subprocess
import sys

import pytest

pytest.importorskip("shtab")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_by_it(sgc, tmp_path):
    script = tmp_path / "completion"
    script.write_bytes(sgc("--print-completion", "bash").stdout)
    (tmp_path / "photo.sgc").touch()

    def complete(*words):
        line = " ".join(words)
        program = f"""
            source completion
            COMP_WORDS=({line}) COMP_CWORD={len(words) - 1} COMP_LINE="{line}" COMP_POINT={len(line)}
            $(complete -p sgc | sed 's/.*-F //; s/ .*//') sgc {words[-1]} {words[-2]}
            echo "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    assert complete("sgc", "in") == {"inspect"}
    assert {"decompress"} == complete("sgc", "deco")
    assert complete("sgc", "thin", "--max") == {"--max-bytes"}
    assert complete("sgc", "inspect", "pho") == {"photo.sgc"}


def test_without_shtab_the_line_says_how_to_get_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, out, err = run("--print-completion", "zsh")
    assert code == 1 and not out and "pip install 'sgc-diffusion[completion]'" in err
