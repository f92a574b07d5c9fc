"""`--quiet`, `--verbose` and the progress bar: how much a run tells beside its results."""

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty")  # not on Windows
termios = pytest.importorskip("termios")


@pytest.mark.parametrize("before", [True, False])
def test_quiet_leaves_errors_alone(compressed, run, before):
    def quiet(*arguments):
        return run("--quiet", *arguments) if before else run(*arguments, "--quiet")

    (compressed / "broken.sgc").write_bytes(b"nonsense")
    code, out, err = quiet("preview", compressed)
    assert (code, out) == (1, "") and err.count("\n") == 1 and "broken.sgc" in err
    code, out, err = run("preview", compressed, "--force")
    assert out.count("\n") == 2 and "2 done, 0 skipped, 1 failed" in err
    code, out, err = quiet("inspect", compressed / "a.sgc")
    assert code == 0 and "labels:" in out and not err  # what was asked for is told
    code, out, err = quiet("preview", compressed, "--force", "--json")
    assert out.count("\n") == 3 and err.count("\n") == 1


def test_verbose_tells_where_an_error_comes_from(compressed, run):
    (compressed / "broken.sgc").write_bytes(b"nonsense")
    code, _, err = run("-v", "verify", compressed / "broken.sgc")
    assert code == 1 and "Traceback" in err and "BadMagicError" in err
    code, _, err = run("verify", compressed / "broken.sgc")  # it is not kept for the next run
    assert code == 1 and "Traceback" not in err


def watch(*arguments):
    """Run the command with a terminal for standard error; return what that shows."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    command = [sys.executable, "-m", "sgc_diffusion", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0
    os.close(leader)
    return shown.decode()


def test_a_terminal_sees_rate_and_time_left_of_several_files(compressed):
    shown = watch("preview", compressed)
    assert "0/2" in shown and "file/s" in shown
    assert "file/s" not in watch("preview", compressed / "a.sgc", "--force")
    assert "file/s" not in watch("preview", compressed, "--force", "--quiet")
