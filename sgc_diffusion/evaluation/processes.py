"""The end of a worker process that the harness holds: give it a job, get its reply."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class CodingError(Exception):
    """A job that failed, with the one line that says why."""


def describe_error(error: Exception) -> str:
    """Return what went wrong on one line; its kind too, unless its message was written to be read."""
    message = " ".join(str(error).split())
    if message and type(error) in (CodingError, ValueError):
        return message
    return f"{type(error).__name__}: {message}".removesuffix(": ")


class WorkerProcess:
    """Another Python process that codes; started at its first job, and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._messages = tempfile.TemporaryFile("w+", errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        self._messages.close()

    def run(self, **job: Any) -> dict[str, Any]:
        """Return the reply to a job; see `worker`.

        Raises:
            CodingError: the job failed, or the process died of it.
        """
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise CodingError(self._last_words(job))
        reply = json.loads(line)
        if "error" in reply:
            raise CodingError(reply["error"])
        return reply

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # of one that died
            process.stdin.close()
        process.wait()
        process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sgc_diffusion.evaluation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
            encoding="utf-8",
            env=environment,
        )
        return self._process

    def _last_words(self, job: dict[str, Any]) -> str:
        """Say why a process gave no reply."""
        code = self._process.wait() if self._process else None
        self.close()
        self._messages.seek(0)
        lines = self._messages.read().strip().splitlines()
        reason = f"killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        last = f": {lines[-1]}" if lines else "; was it out of memory?"
        return f"the process that should {job['do']} was {reason}{last}"
