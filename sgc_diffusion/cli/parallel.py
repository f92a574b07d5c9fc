"""Work on several files at once: processes, each of which prepares what the work needs for itself.

jobs ──▶ processes ──outcome of each, as it is done──▶ report

Processes rather than threads: much of an encoder's time is Python's. Each holds the networks once more and takes its
share of the processor's cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from sgc_diffusion.cli.batch import Outcome, Report, Result, attempt, run_each, tell
from sgc_diffusion.cli.errors import UsageError, describe_error
from sgc_diffusion.cli.messages import progress_bar

Handle = Callable[[Any], Result]

_handle: Handle | str = "nothing was prepared"  # of this process: what does the work, or why it cannot


def run_at_once(
    jobs: Sequence[Any],
    prepare: Callable[[], Handle],
    report: Report,
    num_processes: int = 1,
    describe: Callable[[Exception], str] = describe_error,
) -> list[Any]:
    """Handle files, as many at once as there are processes.

    Args:
        jobs: `Job`s, or what has one as its `job`; for several processes such as can be pickled.
        prepare: loads what the work needs and returns what does it, see `run_each`; for several processes a function of
            a module, or a `functools.partial` of one.
        report: is told of each file as it is done; of all together where `prepare` fails.
        num_processes: at most; one is this process itself.
        describe: what `prepare` raised → the line to read.

    Returns:
        What was put off.

    Raises:
        UsageError: several processes are to share one standard stream.
    """
    if not jobs:
        return []
    if min(num_processes, len(jobs)) > 1:
        return _run_in_processes(jobs, prepare, report, min(num_processes, len(jobs)), describe)
    try:
        handle = prepare()
    except Exception as error:  # whatever a library raises, it is one line
        report.all_failed([_job(item) for item in jobs], describe(error))
        return []
    return run_each(jobs, handle, report)


def picklable(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of a command without the function that runs it."""
    return argparse.Namespace(**{name: value for name, value in vars(arguments).items() if name != "run"})


def _run_in_processes(
    jobs: Sequence[Any],
    prepare: Callable[[], Handle],
    report: Report,
    num_processes: int,
    describe: Callable[[Exception], str],
) -> list[Any]:
    """Handle files in several processes; see `run_at_once`."""
    if any(_job(item).source.path is None or _job(item).target is None for item in jobs):
        raise UsageError("--jobs: standard input and output cannot be shared; name files, or leave --jobs out")
    context = multiprocessing.get_context("spawn")  # a fork would copy the state of torch's threads
    executor = ProcessPoolExecutor(num_processes, context, _prepare, (prepare, num_processes, describe))
    put_off: list[Any] = []
    try:
        futures = {executor.submit(_attempt, item): item for item in jobs}
        with progress_bar(len(jobs)) as advance:
            for future in as_completed(futures):
                outcome = _outcome(future)
                if isinstance(outcome, str):
                    report.all_failed([_job(item) for item in futures.values()], outcome)
                    break
                if (later := tell(outcome, report)) is not None:
                    put_off.append(later)
                del futures[future]
                advance()
    finally:
        executor.shutdown(cancel_futures=True)  # files that are begun are ended
    return put_off


def _job(item: Any) -> Any:
    return getattr(item, "job", item)


def _outcome(future: Future[Outcome | str]) -> Outcome | str:
    """Return what came of a file, or why nothing can be done at all."""
    try:
        return future.result()
    except BrokenProcessPool:
        return "a process ended unexpectedly, maybe for lack of memory; give fewer --jobs"


def _prepare(prepare: Callable[[], Handle], num_processes: int, describe: Callable[[Exception], str]) -> None:
    """Get a new process ready: an interruption is its parent's to handle."""
    global _handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _handle = prepare()
    except Exception as error:  # whatever a library raises, it is one line
        _handle = describe(error)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // num_processes)))


def _attempt(item: Any) -> Outcome | str:
    return _handle if isinstance(_handle, str) else attempt(item, _handle)
