"""Codecs over pictures: one JSON a codec.

pictures ──prepare──▶ PNGs ──code, elsewhere──▶ files, decoded PNGs ──score──▶ OUT/CODEC.json
                                    └─ bytes of SGC's file of a picture ─▶ budget of the others

A row is a picture and a seed: `image`, `seed`, `width`, `height`, `bytes` (of the file on disk), `bpp` (8 · bytes over
the original's pixels), `setting`, `scale`, `budget_bytes`, `is_floor`, `encode_s`, `decode_s`, `encode_peak_mib`,
`decode_peak_mib`, `search_s` where a setting was searched, `metrics`. A figure that is not finite is null.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sgc_diffusion.evaluation.codecs import Codec, expand_specs, make_codec
from sgc_diffusion.evaluation.codecs.codec import installed_versions, write_file
from sgc_diffusion.evaluation.coding import Coded, code_pictures
from sgc_diffusion.evaluation.pictures import Picture, find_pictures, prepare_picture
from sgc_diffusion.evaluation.processes import describe_error
from sgc_diffusion.evaluation.scoring import Scorer

SCHEMA = 1
ORIGINAL = "original"
METRIC_LIBRARIES = ("torch", "torchmetrics", "pyiqa", "open-clip-torch", "torchvision")
ROOT = Path(__file__).parents[2]


def evaluate(
    images: Sequence[str | Path],
    codecs: Sequence[str],
    out: str | Path,
    *,
    work: str | Path,
    budget: int | str | None = None,
    num_seeds: int = 3,
    size: int | None = None,
    limit: int | None = None,
    num_workers: int = 2,
    scorer: Scorer | None = None,
    command: str = "",
    progress: tqdm | None = None,
) -> dict[str, dict[str, Any]]:
    """Run codecs over pictures and write OUT/CODEC.json for each.

    Args:
        images: folders, files or patterns.
        codecs: specs, see `codecs.specs`.
        out: folder of the results; its name is that of the set.
        work: folder for files and decoded pictures, from which a later run resumes.
        budget: bytes that codecs with `@budget` and bare anchors get: a number, `"same"` as SGC's file, or None.
        num_seeds: of generative decoders.
        size: center square at this size; None takes the pictures as they are.
        limit: take the first so many pictures.
        num_workers: pictures that anchors code at once.
        scorer: measures; None leaves `metrics` empty.
        command: for the record.
        progress: bar that is told of every step; None shows none.

    Returns:
        Codec name → what its file holds.

    Raises:
        ValueError: wrong arguments, no picture that can be read, or results of other pictures in `out`.
        ImportError: a tool or library of a codec is missing; says how to get it.
    """
    made = [make_codec(spec) for spec in expand_specs(codecs, budget)]
    for codec in made:
        codec.require()
    out, work = Path(out), Path(work)
    progress = tqdm(disable=True) if progress is None else progress
    progress.set_description_str("reading pictures")
    pictures, unreadable = _prepare(find_pictures(images, limit), work / ORIGINAL, size)
    header = {"set": out.resolve().name, "pictures": _set_digest(pictures), "size": size, "command": command}
    _check_out(out, header["pictures"], [codec.name for codec in made] + ([ORIGINAL] if scorer is not None else []))
    num_scores = sum(num_seeds if codec.is_generative else 1 for codec in made) + 1
    progress.total = len(pictures) * (len(made) + (num_scores if scorer is not None else 0))
    run = _Run(header, pictures, unreadable, out, work, scorer, progress)
    results: dict[str, dict[str, Any]] = {}
    budgets = None
    for codec in made:
        results[codec.name] = run.measure(codec, budgets, num_seeds, num_workers)
        if budgets is None and codec.family == "sgc":
            budgets = {row["image"]: row["bytes"] for row in results[codec.name]["rows"]}
    if scorer is not None:
        results[ORIGINAL] = run.measure_originals()
    return results


@dataclass(frozen=True)
class _Run:
    """What all codecs of a run share."""

    header: Mapping[str, Any]
    pictures: Sequence[Picture]
    unreadable: Sequence[dict[str, str]]
    out: Path
    work: Path
    scorer: Scorer | None
    progress: tqdm

    def measure(
        self, codec: Codec, budgets: Mapping[str, int] | None, num_seeds: int, num_workers: int
    ) -> dict[str, Any]:
        """Code, decode and score the pictures by one codec; write and return what its file holds."""
        self.progress.set_description_str(codec.name)
        coded = code_pictures(
            codec,
            self.pictures,
            self.work / codec.name,
            budgets=budgets,
            num_seeds=num_seeds,
            num_workers=num_workers,
            on_done=self.progress.update,
        )
        about = {
            "codec": codec.name,
            "title": codec.title,
            "family": codec.family,
            "spec": codec.spec,
            "generative": codec.is_generative,
            "libraries": codec.versions(),
        }
        return self._write(
            about, coded, self._score(coded, codec.name, {picture.name: picture for picture in self.pictures})
        )

    def measure_originals(self) -> dict[str, Any]:
        """Score the pictures themselves by what needs no reference; write and return what their file holds."""
        self.progress.set_description_str(ORIGINAL)
        coded = Coded(rows=[_original_row(picture) for picture in self.pictures])
        self._score(coded, ORIGINAL, {})
        about = {"codec": ORIGINAL, "title": "Original", "family": ORIGINAL, "spec": ORIGINAL, "generative": False}
        return self._write(about | {"libraries": {}}, coded, {})

    def _score(self, coded: Coded, name: str, references: Mapping[str, Picture]) -> dict[str, float | None]:
        if self.scorer is None:
            for row in coded.rows:
                row["metrics"] = {}
            return {}
        return self.scorer.score(coded, references, self.work / name, self.progress.update)

    def _write(self, about: dict[str, Any], coded: Coded, set_metrics: Mapping[str, float | None]) -> dict[str, Any]:
        metric_libraries = installed_versions(*METRIC_LIBRARIES) if self.scorer is not None else {}
        result = {
            "schema": SCHEMA,
            **about,
            "libraries": about["libraries"] | metric_libraries,
            "commit": commit(),
            "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            **self.header,
            "num_images": len({row["image"] for row in coded.rows}),
            "load_s": coded.load_s,
            "metrics_unavailable": dict(self.scorer.evaluator.unavailable) if self.scorer is not None else {},
            "rows": coded.rows,
            "set_metrics": set_metrics,
            "failures": [*self.unreadable, *coded.failures],
        }
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        self.out.mkdir(parents=True, exist_ok=True)
        write_file(text.encode(), self.out / f"{result['codec']}.json")
        return result


def _prepare(sources: Mapping[str, Path], folder: Path, size: int | None) -> tuple[list[Picture], list[dict[str, str]]]:
    """Return the pictures, and those files that are none."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, unreadable = [], []
    for name, source in sources.items():
        try:
            pictures.append(prepare_picture(source, folder / f"{name}.png", size))
        except Exception as error:  # odd EXIF, a plug-in's own kind: of whatever kind, it costs one picture
            message = describe_error(error).replace(str(source), source.name)
            unreadable.append({"image": name, "error": message})
    if not pictures:
        first = unreadable[0]["error"] if unreadable else "`limit` leaves none"
        raise ValueError(f"`images`: none of {len(sources)} pictures can be read: {first}")
    return pictures, unreadable


def _set_digest(pictures: Sequence[Picture]) -> str:
    return hashlib.sha256("".join(sorted(picture.name + picture.digest for picture in pictures)).encode()).hexdigest()[
        :16
    ]


def _check_out(out: Path, digest: str, remade: Collection[str]) -> None:
    """Raise ValueError where `out` would hold results of different pictures side by side."""
    for path in sorted(out.glob("*.json")):
        if path.stem not in remade:
            try:
                other = json.loads(path.read_text("utf-8")).get("pictures", digest)
            except (OSError, ValueError, AttributeError):
                continue
            if other != digest:
                raise ValueError(
                    f"`out`: {path} was measured on other pictures, or at another size or limit; give another folder, "
                    "or remove it"
                )


def _original_row(picture: Picture) -> dict[str, Any]:
    """Return the row of a picture against itself: the PNG that all codecs get."""
    size_bytes = picture.path.stat().st_size
    row: dict[str, Any] = {"image": picture.name, "seed": 0, "width": picture.width, "height": picture.height}
    row |= {"bytes": size_bytes, "bpp": 8 * size_bytes / (picture.width * picture.height), "setting": "PNG"}
    row |= {"scale": 1.0, "budget_bytes": None, "is_floor": False}
    return row | dict.fromkeys(("encode_s", "decode_s", "encode_peak_mib", "decode_peak_mib"))


def commit() -> str:
    """Return the commit that is run, `-dirty` if the code was changed since; empty outside a checkout."""

    def git(*arguments: str) -> str:
        try:
            result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        except OSError:  # no git
            return ""
        return result.stdout.strip() if result.returncode == 0 else ""

    revision = git("rev-parse", "--short", "HEAD") if (ROOT / ".git").exists() else ""
    is_dirty = revision and git("status", "--porcelain", "--untracked-files=no", "--", "sgc_diffusion", "eval/run.py")
    return f"{revision}-dirty" if is_dirty else revision
