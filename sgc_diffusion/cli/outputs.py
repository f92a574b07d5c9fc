"""Where results go, found out before anything is loaded: which names, whether they are free, whether they can be made.

sources + `-o` ──plan_outputs──▶ jobs, each with its own target, what is there already, and what cannot be
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgc_diffusion.atomic_file import atomic_path, is_stream, remove_leftovers
from sgc_diffusion.cli.errors import CommandError, Skip, UsageError, describe_error
from sgc_diffusion.cli.inputs import STANDARD_STREAM, Source
from sgc_diffusion.cli.streams import write_bytes

STDOUT_NAMES = {STANDARD_STREAM, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}
MAX_SHOWN = 10  # collisions
PROBE_BYTES = 4096


@dataclass(frozen=True)
class Naming:
    """How results are called.

    Attributes:
        stripped: suffixes, lower case, that a source's name loses.
        added: what it gets instead.
        allowed: suffixes, lower case, that a name given with `-o` may have.
        stream_suffix: of the format that goes to standard output, devices and pipes.
    """

    stripped: Collection[str]
    added: str
    allowed: Collection[str]
    stream_suffix: str


@dataclass(frozen=True)
class Job:
    """A source and where its result goes; `target` None is standard output."""

    source: Source
    target: Path | None

    @property
    def output(self) -> str:
        """The target's name for the user."""
        return STANDARD_STREAM if self.target is None else str(self.target)


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        jobs: sources whose targets are free.
        skipped: those whose targets are there already, where that is no problem.
        problems: a job and what is in its way.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[Job] = field(default_factory=list)
    problems: list[tuple[Job, str]] = field(default_factory=list)


def plan_outputs(
    sources: Sequence[Source], output: str | None, naming: Naming, *, overwrite: bool, skip_existing: bool
) -> Plan:
    """Return what to write where.

    Args:
        sources: the files to be read.
        output: as the user gave it. An existing folder, a name that ends in a separator and one without a suffix are
            folders; any other is a file. None puts each result beside its source.
        naming: how results are called.
        overwrite: files that are there already are replaced.
        skip_existing: they are left as they are, and their sources with them.

    Raises:
        UsageError: `output` has a suffix that is not allowed.
        CommandError: two sources have the same target, or the folder of a file is missing.
    """
    place = _read_output(output, naming)
    jobs = [Job(source, place(source)) for source in sources]
    _check_collisions(jobs)
    own = {identity for source in sources if (identity := _identity(source.path))}
    plan, folders = Plan(), {}
    for job in jobs:
        problem = _find_problem(job, own, folders)
        if problem:
            plan.problems.append((job, problem))
        elif overwrite or not _exists(job.target):
            plan.jobs.append(job)
        elif skip_existing:
            remove_leftovers(Path(job.output))
            plan.skipped.append(job)
        else:
            plan.problems.append((job, exists_already(job.output)))
    return plan


def writes_to_stdout(output: str | None, inputs: Sequence[str]) -> bool:
    """Return whether a command's result goes to standard output: asked for, or because the input has no place."""
    return output in STDOUT_NAMES or (output is None and STANDARD_STREAM in inputs)


def check_still_free(job: Job, *, overwrite: bool, skip_existing: bool) -> None:
    """Look again before the work: another run may be writing to the same folder.

    Raises:
        Skip, CommandError: the target is there now.
    """
    if overwrite or not _exists(job.target):
        return
    if skip_existing:
        raise Skip
    raise CommandError(exists_already(job.output))


def _exists(target: Path | None) -> bool:
    """Return whether a target is a file that writing would replace."""
    return target is not None and not is_stream(target) and os.path.exists(target)


def exists_already(output: str) -> str:
    """Return the line for a target that is there already."""
    return f"{output}: exists already; give --force to overwrite it, --skip-existing to go on, or -o another place"


@contextmanager
def writing(job: Job, naming: Naming, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary path for the result of a job; put it at its target when the block ends well.

    Raises:
        CommandError: the target cannot be written; the message names it.
    """
    suffix = naming.stream_suffix if job.target is None or is_stream(job.target) else job.target.suffix
    try:
        if job.target is None:
            with tempfile.TemporaryDirectory() as place:
                temporary = Path(place, f"result{suffix}")
                yield temporary
                write_bytes(temporary.read_bytes())
        else:
            job.target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(job.target, overwrite=overwrite, suffix=suffix) as temporary:
                yield temporary
    except FileExistsError as error:
        raise CommandError(exists_already(job.output)) from error
    except BrokenPipeError:  # the reader of a pipe has enough
        return
    except OSError as error:
        raise CommandError(f"{job.output}: cannot be written: {error.strerror or describe_error(error)}") from error


def write_sheet(sheet: Any, target: str) -> None:
    """Write a picture that a command was asked for; one of that name is replaced.

    Args:
        sheet: PIL picture.
        target: its name, with a suffix that Pillow can write; - is standard output, as PNG.

    Raises:
        CommandError: another suffix, or a place that cannot be written.
    """
    path = None if target in STDOUT_NAMES else Path(target)
    job = Job(Source(target, path, Path(target)), path)
    with writing(job, Naming((), ".png", (), ".png"), overwrite=True) as temporary:
        try:
            sheet.save(temporary)
        except (ValueError, KeyError) as error:  # of a suffix that Pillow does not know
            raise CommandError(f"{target}: cannot be written as a picture ({error}); end its name in .png") from error


def _read_output(output: str | None, naming: Naming) -> Callable[[Source], Path | None]:
    """Return the function that gives each source its target."""
    if output is None:
        return lambda source: None if source.path is None else source.path.parent / _rename(source.path.name, naming)
    if output in STDOUT_NAMES:
        return lambda source: None
    path = Path(output)
    suffix = path.suffix.lower()
    ends_as_folder = output.endswith(("/", os.sep))
    if ends_as_folder or path.is_dir() or not (suffix or os.path.lexists(path)):
        return lambda source: path / source.relative.parent / _rename(source.relative.name, naming)
    if suffix not in naming.allowed and not is_stream(path):
        known = ", ".join(sorted(naming.allowed))
        raise UsageError(
            f"-o {output}: the name of a result must end in {known}; for a folder, end it in {os.sep}, or make it first"
        )
    if not path.parent.is_dir():
        raise CommandError(f"{output}: cannot be written: there is no folder {path.parent}; make it first")
    return lambda source: path


def _rename(name: str, naming: Naming) -> str:
    stem, suffix = os.path.splitext(name)
    return (stem if suffix.lower() in naming.stripped else name) + naming.added


def _check_collisions(jobs: Sequence[Job]) -> None:
    """Raise CommandError where two sources have one target; disks that ignore the case of letters count as well."""
    by_target: dict[str, list[Job]] = {}
    for job in jobs:
        place = STANDARD_STREAM if job.target is None else os.path.realpath(job.target)
        by_target.setdefault(unicodedata.normalize("NFC", place).casefold(), []).append(job)
    collisions = [group for group in by_target.values() if len(group) > 1]
    if collisions:
        shown = [
            f"{' and '.join(job.source.name for job in group)} would both be written to {group[0].output}"
            if len(group) == 2
            else f"{', '.join(job.source.name for job in group)} would all be written to {group[0].output}"
            for group in collisions[:MAX_SHOWN]
        ]
        more = f"; {len(collisions) - MAX_SHOWN} more such" if len(collisions) > MAX_SHOWN else ""
        raise CommandError(f"{'; '.join(shown)}{more}; nothing was done: give them one by one, or -o a folder for each")


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        status = os.stat(path) if path is not None else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None


def _find_problem(job: Job, own: Collection[tuple[int, int]], folders: dict[Path, str | None]) -> str | None:
    """Return what is in the way of a target, None for nothing.

    Args:
        job: with its target.
        own: identities of all files that this run reads.
        folders: what is wrong with those that were tried already; gets this target's.
    """
    target = job.target
    if target is None:
        return None
    try:
        os.lstat(target)
    except FileNotFoundError:
        pass
    except OSError as error:  # such as a name that is too long
        return f"{target}: cannot be written: {error.strerror}"
    if target.is_dir():
        return f"{target}: is a folder; give -o another place"
    if is_stream(target):
        return None
    if _identity(target) in own:
        return f"{target}: is an input of this run, which is never overwritten; give -o another place"
    folder = Path(os.path.realpath(target)).parent
    if folder not in folders:
        folders[folder] = _try_folder(folder)
    return f"{target}: cannot be written: {folders[folder]}" if folders[folder] else None


def _try_folder(folder: Path) -> str | None:
    """Return why no file can be written into a folder, or into one that is to be made there; None if it can."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return None
