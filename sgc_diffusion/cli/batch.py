"""Work on one file after the other: each tells how it went as it happens, none ends the others, a summary at the end.

Results go to standard output, a line or a JSON object each; errors, notes and the summary to standard error.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sgc_diffusion.cli.errors import PutOff, Skip, UsageError, describe_error
from sgc_diffusion.cli.inputs import Source, gather_inputs
from sgc_diffusion.cli.messages import NORMAL, PACKAGE, progress_bar
from sgc_diffusion.cli.messages import logger as messages
from sgc_diffusion.cli.outputs import STDOUT_NAMES, Job, Naming, plan_outputs, writes_to_stdout
from sgc_diffusion.cli.streams import write_json, write_line

INTERRUPTED = 130  # exit code, as shells have it

logger = logging.getLogger(__name__)

Result = dict[str, Any]


class Report:
    """What a run says about each file, and what it comes to.

    Args:
        describe: result → lines to read.
        as_json: one object a line instead; each has `input`, `output` (or null) and, if it went wrong, `error`.
        results_to_stderr: standard output holds a result itself.
        shows_results: False leaves the lines out.
    """

    def __init__(
        self,
        describe: Callable[[Result], str],
        *,
        as_json: bool,
        results_to_stderr: bool = False,
        shows_results: bool = True,
    ) -> None:
        self._describe, self._as_json, self._results_to_stderr = describe, as_json, results_to_stderr
        self._shows_results = shows_results
        self._num_done = self._num_skipped = self._num_failed = self._num_open = 0

    def plan(self, num_files: int) -> None:
        """Say how many files there are to work on, apart from those that were reported already."""
        self._num_open = num_files

    def done(self, result: Result) -> None:
        """Report what came of a file."""
        self._num_done, self._num_open = self._num_done + 1, max(0, self._num_open - 1)
        self._show(result)

    def done_badly(self, result: Result) -> None:
        """Report what could be read of a file that has an `error`."""
        self._count_failure()
        self._show(result)
        messages.error("%s", result["error"])

    def skipped(self, job: Job) -> None:
        """Report a file whose result is there already."""
        self._num_skipped, self._num_open = self._num_skipped + 1, max(0, self._num_open - 1)
        if self._as_json:
            write_json({"input": job.source.name, "output": job.output, "skipped": True})

    def failed(self, name: str, message: str, output: str | None = None, *, quiet: bool = False) -> None:
        """Report a file that could not be handled; `quiet` if the line was shown already, for several files."""
        self._count_failure()
        if self._as_json:
            write_json({"input": name, "output": output, "error": message})
        if not quiet:
            messages.error("%s", message)

    def all_failed(self, jobs: Sequence[Job], message: str) -> None:
        """Report jobs that lack what all of them need: one line, not one each."""
        messages.error("%s", message)
        for job in jobs:
            self.failed(job.source.name, message, job.output, quiet=True)

    def note(self, text: str) -> None:
        """Tell something that is no result."""
        messages.info("%s", text)

    def finish(self, *, interrupted: bool = False) -> int:
        """Show the summary if there was more than one file; return the exit code."""
        num_files = self._num_done + self._num_skipped + self._num_failed
        parts = [f"{self._num_done} done", f"{self._num_skipped} skipped", f"{self._num_failed} failed"]
        if interrupted:
            parts.append(f"{self._num_open} not done, interrupted")
        if num_files > 1 or interrupted or self._num_skipped:
            self.note(", ".join(parts))
        return INTERRUPTED if interrupted else 1 if self._num_failed else 0

    def _count_failure(self) -> None:
        self._num_failed, self._num_open = self._num_failed + 1, max(0, self._num_open - 1)

    def _show(self, result: Result) -> None:
        if self._as_json:
            write_json(result)
        elif self._shows_results:
            write_line(self._describe(result), to_stderr=self._results_to_stderr)


def find_sources(arguments: argparse.Namespace, report: Report, suffixes: Collection[str], kind: str) -> list[Source]:
    """Return the files that the arguments stand for; report those that lead nowhere, and what is left out."""
    inputs = gather_inputs(arguments.inputs, suffixes, kind)
    for argument, message in inputs.problems:
        report.failed(argument, message)
    for text in inputs.notes:
        report.note(text)
    report.plan(len(inputs.sources))
    return inputs.sources


def find_jobs(
    arguments: argparse.Namespace, report: Report, suffixes: Collection[str], kind: str, naming: Naming
) -> list[Job]:
    """Return what is to be read and written where; report what cannot be, before anything is loaded.

    Raises:
        CommandError: two sources have the same target, or the target cannot be meant.
    """
    sources = find_sources(arguments, report, suffixes, kind)
    options = {"overwrite": arguments.force, "skip_existing": arguments.skip_existing}
    plan = plan_outputs(sources, arguments.output, naming, **options)
    for job in plan.skipped:
        report.skipped(job)
    for job, message in plan.problems:
        report.failed(job.source.name, message, job.output)
    return plan.jobs


@dataclass
class Outcome:
    """What came of a file.

    Attributes:
        job: the file.
        result: None where there is none.
        error: why there is none, empty for no error.
        put_off: what is left to be done with it, None for nothing.
        texts: that the package warned of.
    """

    job: Job
    result: Result | None = None
    error: str = ""
    put_off: Any = None
    texts: list[str] = field(default_factory=list)


def run_each(jobs: Sequence[Any], handle: Callable[[Any], Result], report: Report) -> list[Any]:
    """Handle files one by one.

    Args:
        jobs: `Job`s, or what has one as its `job`.
        handle: returns the result of one; what it raises costs this file alone. A result with `error` counts as failed.
        report: is told.

    Returns:
        What `handle` put off.
    """
    outcomes = []
    with progress_bar(len(jobs)) as advance:
        for item in jobs:
            outcomes.append(tell(attempt(item, handle), report))
            advance()
    return [put_off for put_off in outcomes if put_off is not None]


def attempt(item: Any, handle: Callable[[Any], Result]) -> Outcome:
    """Handle one file; see `run_each`."""
    outcome = Outcome(getattr(item, "job", item))
    with notices() as outcome.texts:
        try:
            outcome.result = handle(item)
        except Skip:
            pass
        except PutOff as later:
            outcome.put_off = later.work
        except Exception as error:  # a plug-in, a library or the memory: none of them may cost the other files
            logger.debug("%s", outcome.job.source.name, exc_info=True)
            outcome.error = describe_error(error, outcome.job.source.name)
    return outcome


def tell(outcome: Outcome, report: Report) -> Any:
    """Tell the report what came of a file; return what was put off."""
    if outcome.put_off is not None:
        return outcome.put_off  # warnings come again when it is done
    name = outcome.job.source.name
    for text in outcome.texts:
        report.note(text if name in text else f"{name}: {text}")
    if outcome.error:
        report.failed(name, outcome.error, _output(outcome.job))
    elif outcome.result is None:
        report.skipped(outcome.job)
    else:
        result = outcome.result | ({"warnings": outcome.texts} if outcome.texts else {})
        (report.done_badly if "error" in result else report.done)(result)
    return None


def _output(job: Job) -> str | None:
    return job.output if job.target is not None else None


@contextmanager
def notices() -> Iterator[list[str]]:
    """Collect what this package warns of, instead of letting Python print it without the file's name."""
    texts: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]
    package_logger = logging.getLogger(PACKAGE)
    propagates, package_logger.propagate = package_logger.propagate, False
    package_logger.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield texts
            finally:
                texts += [str(entry.message) for entry in caught if entry.category.__module__.startswith(PACKAGE)]
    finally:
        package_logger.removeHandler(handler)
        package_logger.propagate = propagates


def file_command(
    run: Callable[[argparse.Namespace, Report], None], describe: Callable[[Result], str], *, is_question: bool = False
) -> Callable:
    """Return a command that works on files: `run` within a report, interrupted or not.

    Args:
        run: does the work and tells the report.
        describe: result → lines to read.
        is_question: the lines are what the command is for, so that `--quiet` leaves them.
    """

    def command(arguments: argparse.Namespace) -> int:
        to_stdout = hasattr(arguments, "output") and writes_to_stdout(arguments.output, arguments.inputs)
        to_stdout = to_stdout or getattr(arguments, "plot", None) in STDOUT_NAMES
        if to_stdout and arguments.json:
            raise UsageError("--json and the result cannot both go to standard output; give -o another place")
        if to_stdout and sys.stdout.isatty():
            raise UsageError("the result would go to the terminal; redirect standard output, or give -o another place")
        shows_results = is_question or messages.isEnabledFor(NORMAL)
        report = Report(describe, as_json=arguments.json, results_to_stderr=to_stdout, shows_results=shows_results)
        try:
            run(arguments, report)
        except KeyboardInterrupt:
            return report.finish(interrupted=True)
        return report.finish()

    return command
