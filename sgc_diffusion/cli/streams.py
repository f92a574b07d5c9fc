"""Printing that never decides what is done: names that cannot be encoded, and readers that have gone."""

from __future__ import annotations

import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

_failures: dict[int, OSError] = {}  # stream → why nothing more can be written to it


def write_line(text: str, *, to_stderr: bool = False) -> None:
    """Print a line at once; what the stream cannot encode is written as an escape sequence.

    Args:
        text: without the line's end.
        to_stderr: not to standard output, which is for results.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    if stream is None or id(stream) in _failures:
        return
    encoding = stream.encoding or "utf-8"
    try:
        with _bars_aside(stream):
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
    except OSError as error:
        _give_up(stream, error)


def _bars_aside(stream: IO[str]) -> AbstractContextManager[Any]:
    """Return what takes progress bars off the terminal while a line is written."""
    if "tqdm" not in sys.modules:
        return nullcontext()
    from tqdm import tqdm

    return tqdm.external_write_mode(file=stream)


def write_json(value: dict[str, Any]) -> None:
    """Print an object as one line of JSON, in ASCII where the stream cannot encode it."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    write_line(text)


def write_bytes(data: bytes) -> None:
    """Write a result to standard output.

    Raises:
        OSError: the disk that it is redirected to is full.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:  # the reader has enough
        _give_up(sys.stdout, error)


def read_bytes() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()


def close_quietly() -> bool:
    """Flush both streams at the end; return whether all that was printed has arrived or was no longer wanted."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            _give_up(stream, error)
    lost = [error for error in _failures.values() if not isinstance(error, BrokenPipeError)]
    _failures.clear()
    for error in lost:
        write_line(f"sgc: the report cannot be written: {error.strerror}", to_stderr=True)
    return not lost


def _give_up(stream: IO[str], error: OSError) -> None:
    """Send what is still to come nowhere, so that the interpreter does not stumble over it when it ends."""
    _failures[id(stream)] = error
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # not a real one
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
