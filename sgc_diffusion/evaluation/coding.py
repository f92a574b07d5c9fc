"""One codec over pictures: every step in a process of its own, every result kept.

picture ──fit──▶ setting ──encode──▶ file ──stat──▶ bytes      a codec with a budget searches its setting first
                                      └──decode, once a seed──▶ PNG

In the folder of the codec: NAME.SUFFIX, NAME.png (seed 0), NAME.seed1.png …, and NAME.json, which says from which
codec, versions and pixels they came and what that took. What is there and still fits is not made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.evaluation.codecs import Codec
from sgc_diffusion.evaluation.codecs.codec import write_file
from sgc_diffusion.evaluation.pictures import Picture
from sgc_diffusion.evaluation.processes import CodingError, WorkerProcess, describe_error

STATE_FORMAT = 2  # of NAME.json; one more whenever what it holds changes
FLOOR = "its floor: no smaller file to be had"


@dataclass
class Coded:
    """What coding pictures gave.

    Attributes:
        rows: one a picture and seed, in the order of the pictures; see `measurement` for the keys.
        failures: `image` and `error`, one line.
        load_s: seconds that imports and models took, by step, where processes are kept for several pictures.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    load_s: dict[str, float] = field(default_factory=dict)


def decoded_path(folder: Path, name: str, seed: int) -> Path:
    """Return where the decoded picture of a seed is kept."""
    return folder / (f"{name}.png" if seed == 0 else f"{name}.seed{seed}.png")


def code_pictures(
    codec: Codec,
    pictures: Sequence[Picture],
    folder: Path,
    *,
    budgets: Mapping[str, int] | None = None,
    num_seeds: int = 1,
    num_workers: int = 1,
    on_done: Callable[[], object] = lambda: None,
) -> Coded:
    """Code and decode pictures, or take what is there.

    Args:
        codec: which has passed its `check`.
        pictures: to code.
        folder: of this codec's files; made if missing.
        budgets: picture → bytes, for a codec that needs them.
        num_seeds: of a generative decoder: 0, 1, …
        num_workers: pictures at once; a generative codec does one after another and keeps its models loaded.
        on_done: called after each picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(num_seeds if codec.is_generative else 1)
    result, versions = Coded(), codec.versions()
    with ExitStack() as stack:
        workers = _Workers(stack, is_kept=codec.is_generative)

        def code(picture: Picture) -> tuple[list[dict[str, Any]], str | None]:
            try:
                return _Job(codec, picture, folder, versions, budgets, workers).rows(seeds), None
            except Exception as error:  # of whatever kind, it costs one picture and not the run
                return [], describe_error(error)
            finally:
                on_done()

        with ThreadPoolExecutor(1 if codec.is_generative else num_workers) as pool:
            try:
                outcomes = list(pool.map(code, pictures))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    for picture, (rows, error) in zip(pictures, outcomes, strict=True):
        result.rows += rows
        if error is not None:
            result.failures.append({"image": picture.name, "error": error})
    result.load_s = workers.load_s
    return result


class _Workers:
    """Processes for the steps: a new one each time, or one kept for each step."""

    def __init__(self, stack: ExitStack, *, is_kept: bool) -> None:
        self._stack, self._is_kept = stack, is_kept
        self._kept: dict[str, WorkerProcess] = {}
        self.load_s: dict[str, float] = {}

    def run(self, step: str, **job: Any) -> dict[str, Any]:
        if not self._is_kept:
            with WorkerProcess() as worker:
                return worker.run(do=step, **job)
        if step not in self._kept:
            self._kept[step] = self._stack.enter_context(WorkerProcess())
        reply = self._kept[step].run(do=step, **job)
        if "load_s" in reply:
            self.load_s[step] = reply["load_s"]
        return reply


class _Job:
    """One picture and one codec."""

    def __init__(
        self,
        codec: Codec,
        picture: Picture,
        folder: Path,
        versions: dict[str, str],
        budgets: Mapping[str, int] | None,
        workers: _Workers,
    ) -> None:
        self._codec, self._picture, self._folder, self._workers = codec, picture, folder, workers
        self._budget = (budgets or {}).get(picture.name) if codec.needs_budget else codec.budget_bytes
        if codec.needs_budget and self._budget is None:
            raise CodingError("no budget: SGC has no file of this picture")
        origin = [STATE_FORMAT, codec.spec, picture.digest, self._budget, versions]
        self._fingerprint = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
        self._file = folder / f"{picture.name}{codec.suffix}"
        self._state_path = folder / f"{picture.name}.json"

    def rows(self, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """Return one row a seed, having made what is missing."""
        state = self._read_state()
        if state is None:
            state = {"fingerprint": self._fingerprint, "encoded": self._encode(), "decoded": {}, "load_s": {}}
            self._write_state(state)
        for seed in seeds:
            png = decoded_path(self._folder, self._picture.name, seed)
            if str(seed) not in state["decoded"] or not png.is_file():
                state["decoded"][str(seed)] = self._decode(state["encoded"]["spec"], png, seed)
                self._write_state(state)
        self._workers.load_s.update(state["load_s"])
        return [{"image": self._picture.name, "seed": seed} | self._row(state, seed) for seed in seeds]

    def _row(self, state: dict[str, Any], seed: int) -> dict[str, Any]:
        encoded, picture = state["encoded"], self._picture
        size_bytes = self._file.stat().st_size
        row = {
            "width": picture.width,
            "height": picture.height,
            "bytes": size_bytes,
            "bpp": 8 * size_bytes / (picture.width * picture.height),
            "setting": encoded["setting"],
            "scale": encoded["scale"],
            "budget_bytes": self._budget,
            "is_floor": encoded["is_floor"],
            "encode_s": encoded["encode_s"],
            "encode_peak_mib": encoded["encode_peak_mib"],
            **state["decoded"][str(seed)],
        }
        return row | ({"search_s": encoded["search_s"]} if "search_s" in encoded else {})

    def _encode(self) -> dict[str, Any]:
        codec, image = self._codec, str(self._picture.path)
        fitted: dict[str, Any] = {"spec": codec.spec, "is_floor": False}
        encoded: dict[str, Any] = {}
        if self._budget is not None:
            fitted = self._workers.run("fit", spec=codec.spec, image=image, budget_bytes=self._budget)
            encoded["search_s"] = fitted["seconds"]
        reply = self._workers.run("encode", spec=fitted["spec"], image=image, path=str(self._file))
        size_bytes, is_floor = self._file.stat().st_size, fitted["is_floor"]
        if self._budget is not None and size_bytes > self._budget and not is_floor:
            raise CodingError(f"{fitted['spec']} gave {size_bytes} bytes where its search gave at most {self._budget}")
        setting = f"{reply['setting']}, {FLOOR}" if is_floor else reply["setting"]
        encoded |= {"spec": fitted["spec"], "is_floor": is_floor, "setting": setting, "scale": reply["scale"]}
        return encoded | {"encode_s": reply["seconds"], "encode_peak_mib": reply["peak_mib"]}

    def _decode(self, spec: str, png: Path, seed: int) -> dict[str, Any]:
        reply = self._workers.run("decode", spec=spec, path=str(self._file), png=str(png), seed=seed)
        with Image.open(png) as image:
            if image.size != (self._picture.width, self._picture.height):
                raise CodingError(
                    f"decoded to {image.size}, but the picture has {self._picture.width, self._picture.height}"
                )
        return {"decode_s": reply["seconds"], "decode_peak_mib": reply["peak_mib"]}

    def _read_state(self) -> dict[str, Any] | None:
        """Return what an earlier run made, if it came from the same codec, versions and pixels."""
        try:
            state = json.loads(self._state_path.read_text("utf-8"))
            if state["fingerprint"] == self._fingerprint and self._file.is_file():
                return state
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def _write_state(self, state: dict[str, Any]) -> None:
        state["load_s"] |= self._workers.load_s
        write_file((json.dumps(state, indent=1) + "\n").encode(), self._state_path)
