"""What the user reads when something cannot be done: always one line."""

from __future__ import annotations


class CommandError(Exception):
    """Something that the user can mend; its text is the line to read."""


class UsageError(CommandError):
    """A command line that cannot be meant, whatever is on the disk."""


class Skip(Exception):
    """A file that needs no work after all."""


class PutOff(Exception):
    """A file whose work comes later, when what it needs is loaded; `work` is what is left to do."""

    def __init__(self, work: object) -> None:
        super().__init__(work)
        self.work = work


def describe_error(error: BaseException, name: str = "") -> str:
    """Return an error as one line.

    Args:
        error: of any kind.
        name: of the file that it is about, put in front unless the text names it; empty for none.
    """
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None and str(error.filename) != name:
            text = f"{error.filename}: {text}"
    else:
        text = " ".join(str(error).split())
    expected = (CommandError, ValueError, OSError, ImportError)
    if not text or not isinstance(error, expected):  # of a library: the kind tells more than the text
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if not name or name in text else f"{name}: {text}"
