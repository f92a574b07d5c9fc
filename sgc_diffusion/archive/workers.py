"""Who encodes the units: this process, or Ray Data's workers.

One worker needs no engine: a loop over units in this process does the same, starts at once, and is there without Ray.
From two workers on, and on a cluster, Ray Data does all that is hard: it starts processes, gives them work, and starts
those again that die. Both call `UnitEncoder.encode`, which decides what is done; so neither has a state of its own, and
a run may begin with one and go on with the other.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from sgc_diffusion.archive.encoding import Commit, UnitEncoder
from sgc_diffusion.archive.layout import Archive, ArchiveError, UnitName

MAX_BLOCKS = 1000  # of Ray's plan; a block is some units, and a worker that dies costs no unit that is committed


def encode_here(archive: Archive, units: Sequence[UnitName]) -> Iterator[Commit]:
    """Encode units in this process; yield each record as its unit is done.

    Raises:
        ArchiveError, OSError, ImportError: as `UnitEncoder`.
    """
    encoder = UnitEncoder(archive)
    for unit in units:
        yield encoder.encode(unit)


def encode_by_ray(
    archive: Archive, units: Sequence[UnitName], num_workers: int, address: str | None = None
) -> Iterator[Commit]:
    """Encode units by Ray Data; yield each record as its unit is done.

    Args:
        archive: in a folder that all nodes see under the same name.
        units: to encode.
        num_workers: processes, each with the model and one CPU.
        address: of a running cluster, such as `ray://host:10001` or `auto`; None starts Ray on this machine.

    Raises:
        ImportError: Ray is not installed.
        ArchiveError: a worker says why no unit can be encoded.
        OSError: the cluster cannot be reached, or the archive not be written.
    """
    if importlib.util.find_spec("ray") is None:  # who packs alone, or only searches, does without
        raise ImportError("Packing with several workers needs ray: pip install 'sgc-diffusion[scale]'", name="ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    import ray
    import ray.data
    from ray.exceptions import RayTaskError

    class Worker:
        """Ray's name for what holds the model."""

        def __init__(self) -> None:
            self._encoder = UnitEncoder(archive)

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            records = [self._encoder.encode(UnitName.parse(str(name))) for name in batch["unit"]]
            return {name: [record[name] for record in records] for name in records[0]}

    was_running = ray.is_initialized()
    if not was_running:
        _start(ray, num_workers, address)
    try:
        blocks = min(len(units), MAX_BLOCKS)
        dataset = ray.data.from_items([{"unit": str(unit)} for unit in units], override_num_blocks=blocks)
        compute = ray.data.ActorPoolStrategy(size=min(num_workers, blocks), max_tasks_in_flight_per_actor=2)
        yield from dataset.map_batches(Worker, batch_size=1, compute=compute, num_cpus=1).iter_rows()
    except RayTaskError as error:
        raise _cause(error) from error
    finally:
        if not was_running:
            ray.shutdown()


def _start(ray: Any, num_workers: int, address: str | None) -> None:
    """Connect to a cluster, or start Ray on this machine with as many CPUs as there are workers."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    here = {} if address else {"num_cpus": num_workers, "include_dashboard": False}
    try:
        ray.init(address=address, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}, **here, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(f"Ray cannot be started or reached at {address or 'this machine'}: {reason}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False


def _cause(error: Any) -> Exception:
    """Return what a worker raised, in this package's words where it said it in them."""
    cause = error
    while getattr(cause, "cause", None) is not None or cause.__cause__ is not None:
        cause = getattr(cause, "cause", None) or cause.__cause__
    if isinstance(cause, (OSError, ArchiveError, ImportError, ValueError)):
        return cause
    return OSError(f"a worker failed: {type(cause).__name__}: {cause}")
