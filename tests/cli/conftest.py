import os
import subprocess
import sys

import pytest

from sgc_diffusion.cli import main


@pytest.fixture()
def folder(tmp_path, landscape):
    """A folder with a.png, 64×48, and b.jpg, 40×40."""
    landscape(64, 48).save(tmp_path / "a.png")
    landscape(40, 40, seed=1).save(tmp_path / "b.jpg")
    return tmp_path


@pytest.fixture()
def run(capsys):
    """Run a command in this process: arguments → exit code, standard output, standard error."""

    def run_command(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


@pytest.fixture()
def compressed(folder, tiny_pipeline_folder, run):
    """The same folder with a.sgc and b.sgc."""
    assert run("compress", folder, "--pipeline", tiny_pipeline_folder)[0] == 0
    return folder


@pytest.fixture(scope="session")
def sgc():
    """Run a command as its own process; its standard streams are bytes."""

    def run_process(*arguments, env=None, **options):
        command = [sys.executable, "-m", "sgc_diffusion", *map(str, arguments)]
        options = {"capture_output": True, "timeout": 240, **options}
        return subprocess.run(command, env={**os.environ, **(env or {})}, check=False, **options)

    return run_process
