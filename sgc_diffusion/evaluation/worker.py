"""A process that codes and decodes, and says what that took.

    python -m sgc_diffusion.evaluation.worker        a JSON job a line on standard input, a JSON reply a line on output

    {"do": "fit", "spec": …, "image": PNG, "budget_bytes": …}    ──▶ {"spec": …, "is_floor": …}
    {"do": "encode", "spec": …, "image": PNG, "path": …}          ──▶ what `Codec.encode` returns
    {"do": "decode", "spec": …, "path": …, "png": PNG, "seed": …} ──▶ {}

Every reply has `seconds` and `peak_mib`, or `error`, one line. Time is that of coding alone: imports, models, reading
the picture and writing the PNG are not in it. Memory is that of the larger of this process, the interpreter included,
and the programs it ran. `load_s` is the time that imports and models took; it is in the first reply for a codec.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from sgc_diffusion.evaluation.codecs import Codec, make_codec
from sgc_diffusion.evaluation.codecs.codec import save_png
from sgc_diffusion.evaluation.processes import describe_error

KIB_IN_MIB = 1024


def peak_memory_mib() -> float | None:
    """Return the peak of the larger of this process and its finished children; None where no one counts it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = KIB_IN_MIB if sys.platform != "darwin" else KIB_IN_MIB**2
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a new process starts at what the process was that started it
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        own = float(lines[0].split()[1]) / KIB_IN_MIB if lines else own
    return round(max(own, children), 1)


def _forget_peak() -> None:
    """Start to count this process's peak anew, where the system lets it: Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def run_job(job: dict[str, Any], codecs: dict[str, Codec]) -> dict[str, Any]:
    """Do one job.

    Args:
        job: see the top of this file.
        codecs: those that are loaded, by spec; one is added.
    """
    reply: dict[str, Any] = {}
    if job["spec"] not in codecs:
        started = time.perf_counter()
        codec = make_codec(job["spec"])
        codec.load()
        codecs[job["spec"]] = codec
        reply["load_s"] = round(time.perf_counter() - started, 3)
    codec = codecs[job["spec"]]
    image = _read_png(job["image"]) if "image" in job else None
    _forget_peak()
    work = partial(_WORK[job["do"]], codec, image, job)
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    reply |= {"seconds": round(seconds, 4), "peak_mib": peak_memory_mib()}
    if isinstance(result, Image.Image):
        save_png(result, Path(job["png"]))
        return reply
    return reply | result


def _read_png(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _fit(codec: Codec, image: Image.Image, job: dict[str, Any]) -> dict[str, Any]:
    fitted, is_floor = codec.fit(image, job.get("budget_bytes"))
    return {"spec": fitted.spec, "is_floor": is_floor}


def _encode(codec: Codec, image: Image.Image, job: dict[str, Any]) -> dict[str, Any]:
    return codec.encode(image, Path(job["path"]))


def _decode(codec: Codec, image: None, job: dict[str, Any]) -> Image.Image:
    return codec.decode_image(Path(job["path"]), seed=job["seed"])


_WORK: dict[str, Callable[..., Any]] = {"fit": _fit, "encode": _encode, "decode": _decode}


def main() -> None:
    """Do jobs until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries and programs write to standard output must not look like a reply
    codecs: dict[str, Codec] = {}
    for line in sys.stdin:
        try:
            reply = run_job(json.loads(line), codecs)
        except Exception as error:  # of whatever kind, it costs one picture and not the run
            reply = {"error": describe_error(error)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
