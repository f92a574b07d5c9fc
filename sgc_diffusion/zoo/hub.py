"""What the Hub's clients are told, and what their errors mean to a user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import errors as hub_errors

HUB_MESSAGES: list[tuple[type[Exception], str]] = [  # the first that is in the chain of causes tells what happened
    (hub_errors.GatedRepoError, "is gated; accept its terms on the Hub and log in with `hf auth login`"),
    (hub_errors.RepositoryNotFoundError, "is no repository on the Hub that you may read; check the spelling"),
    (hub_errors.RevisionNotFoundError, "has no such revision; check `revision`"),
    (
        hub_errors.LocalEntryNotFoundError,
        "is no folder here and not in the local cache, and the Hub cannot be reached; connect, unset HF_HUB_OFFLINE, "
        "or give a local folder (`hf download` fetches it elsewhere)",
    ),
    (
        hub_errors.OfflineModeIsEnabled,
        "is no folder here and not whole in the local cache, and HF_HUB_OFFLINE forbids to fetch it; unset that, or "
        "give a local folder (`hf download` fetches it elsewhere)",
    ),
    (
        hub_errors.EntryNotFoundError,
        "lacks a file, such as model_index.json or config.json, that each of its kind has; it holds something else",
    ),
]


@dataclass(frozen=True)
class HubOptions:
    """How something is fetched from the Hub; what is None is left to the Hub's clients.

    Attributes:
        revision: branch, tag or commit.
        cache_dir: where downloads are kept.
        token: for gated and private repositories.
        local_files_only: never ask the Hub.
        force_download: fetch again what the cache holds.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    token: str | bool | None = None
    local_files_only: bool | None = None
    force_download: bool | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what was given, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def of_another_repository(self) -> HubOptions:
        """Return the same without the revision, which is of one repository."""
        return HubOptions(None, self.cache_dir, self.token, self.local_files_only, self.force_download)


@contextmanager
def readable_hub_errors(name: str) -> Iterator[None]:
    """Turn the errors of the Hub's clients into one line that says what to do.

    Args:
        name: what is being loaded.

    Raises:
        OSError: instead of theirs, which may be wrapped several times.
    """
    try:
        yield
    except Exception as error:
        causes: list[BaseException] = [error]
        while cause := causes[-1].__cause__ or causes[-1].__context__:
            causes.append(cause)
        for kind, text in HUB_MESSAGES:
            if any(isinstance(cause, kind) for cause in causes):
                raise OSError(f"{name} {text}") from error
        raise
