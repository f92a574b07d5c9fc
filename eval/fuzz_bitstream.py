"""Feed mutated files to `bitstream.decode`: nothing but a payload or a BitstreamError may come out.

    python eval/fuzz_bitstream.py --inputs 1000000 --output eval/results/fuzz_bitstream.json
    python eval/fuzz_bitstream.py --only alpha detail metadata steered --inputs 100000
    python eval/fuzz_bitstream.py --small --inputs 1000000 --seconds 900       until either is reached
    python eval/fuzz_bitstream.py --atheris --inputs 1000000      coverage-guided, needs the atheris package

The mutations start from the golden files. Half of the inputs get a right checksum after the mutation, so that they
reach the coders. What decodes whole must encode to the same bytes again; what decodes with damaged layers left out must
encode to a file that is whole.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fuzz_small_files import make_files

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream.container import CHECKSUM_BYTES, checksum, write_layer
from sgc_diffusion.bitstream.fields import Reader
from sgc_diffusion.bitstream.header import read_header

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
REPAIRED_SHARE = 0.5
COUNTED_SHARE = 0.1  # of the inputs whose size is counted too, which encodes them once more
MAX_RECORDED = 20
MAX_FILE_BYTES = 3000  # of the files that are changed; larger ones take too long


def mutate(data: bytes, other: bytes, generator: random.Random) -> bytes:
    """Return one to four changes of a file: bits, bytes, pieces cut, repeated, or taken from another."""
    result = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 3, 4))):
        if not result:
            break
        position, kind = generator.randrange(len(result)), generator.randrange(7)
        length = generator.randrange(1, 9)
        if kind == 0:
            result[position] ^= 1 << generator.randrange(8)
        elif kind == 1:
            result[position] = generator.choice((0, 1, 127, 128, 255, generator.randrange(256)))
        elif kind == 2:
            del result[position : position + length]
        elif kind == 3:
            result[position:position] = generator.randbytes(length)
        elif kind == 4:
            result[position:position] = result[position : position + length]
        elif kind == 5:
            del result[position:]
        else:
            start = generator.randrange(len(other))
            result[position : position + length] = other[start : start + length]
    return bytes(result)


def repair(data: bytes) -> bytes:
    """Return the file with the checksums that belong to it and its layers, as far as its lengths can be read."""
    reader = Reader(data)
    try:
        if read_header(reader).is_sealed:
            return data
        header_end = reader.position
        reader.take(CHECKSUM_BYTES, "checksum")
        for _ in range(2):
            reader.take(reader.varint("length"), "layer")
    except bitstream.BitstreamError:
        return data
    covered = data[:header_end] + data[header_end + CHECKSUM_BYTES : reader.position]
    required = data[:header_end] + checksum(covered) + data[header_end + CHECKSUM_BYTES : reader.position]
    return required + repair_layers(reader)


def repair_layers(reader: Reader) -> bytes:
    """Return the optional layers with the checksums that belong to them, and the rest from where one cannot be read."""
    result = b""
    while reader.remaining:
        start = reader.position
        try:
            type_byte = reader.integer(1, "layer type")
            size_bytes = reader.varint("layer length")
            reader.take(CHECKSUM_BYTES, "layer checksum")
            result += write_layer(type_byte, reader.take(size_bytes, "layer"))
        except bitstream.BitstreamError:
            return result + reader.data[start:]
    return result


def decode_outcome(data: bytes) -> str:
    """Return what came of one input; any exception but a BitstreamError goes on.

    Returns:
        `decoded`; `damaged` if optional layers were left out; else the name of the BitstreamError.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            payload = bitstream.decode(data)
        except bitstream.BitstreamError as error:
            return type(error).__name__
    encoded = bitstream.encode(payload)
    is_counted = checksum(data)[0] < 256 * COUNTED_SHARE
    if is_counted and len(encoded) != bitstream.size_bytes(payload):
        raise AssertionError("a file is not as large as was counted")
    if caught:  # what is left of the file is one that is not damaged
        if bitstream.decode(encoded, strict=True) != payload:
            raise AssertionError("a damaged file decodes, but its payload does not survive")
        return "damaged"
    if data != encoded:
        raise AssertionError("a file decodes, but its payload encodes to other bytes")
    return "decoded"


def timed_outcome(data: bytes) -> tuple[str, float]:
    """Return what came of one input, with `: ` and a reason if it failed, and the milliseconds of CPU time it took."""
    start = time.process_time()
    try:
        outcome = decode_outcome(data)
    except Exception as error:
        outcome = f"failure: {error!r}"
    return outcome, 1000 * (time.process_time() - start)


def run(files: Sequence[bytes], num_inputs: int, seed: int, seconds: float = float("inf")) -> dict[str, object]:
    """Check mutations of some files.

    Args:
        files: that are changed.
        num_inputs: how many mutations, at most.
        seed: fixes them.
        seconds: of CPU time after which no other is begun.

    Returns:
        Counts of the outcomes, failures as (exception, hexadecimal input), slowest input in milliseconds of CPU time,
        the best of five.
    """
    generator, end = random.Random(seed), time.process_time() + seconds
    outcomes: Counter[str] = Counter()
    failures, slowest_ms, slowest = [], 0.0, b""
    while outcomes.total() < num_inputs and time.process_time() < end:
        data = mutate(generator.choice(files), generator.choice(files), generator)
        data = repair(data) if generator.random() < REPAIRED_SHARE else data
        outcome, elapsed_ms = timed_outcome(data)
        kind, _, reason = outcome.partition(": ")
        outcomes[kind] += 1
        if reason:
            failures.append((reason, data.hex()))
        if elapsed_ms > slowest_ms:  # again, for what else the machine does takes time too
            elapsed_ms = min([elapsed_ms, *(timed_outcome(data)[1] for _ in range(4))])
            slowest_ms, slowest = max((slowest_ms, slowest), (elapsed_ms, data))
    return {
        "num_inputs": outcomes.total(),
        "seed": seed,
        "outcomes": dict(outcomes),
        "failures": failures[:MAX_RECORDED],
        "slowest_ms": round(slowest_ms, 2),
        "slowest_input": slowest.hex(),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def run_atheris(paths: Sequence[Path], num_inputs: int, seed: int) -> dict[str, object]:
    """Run the coverage-guided fuzzer in a process of its own, from the same files; what it finds is a failure."""
    with tempfile.TemporaryDirectory() as corpus:
        for path in paths:
            shutil.copy(path, corpus)
        options = [f"-runs={num_inputs}", f"-seed={seed + 1}", "-timeout=60", "-rss_limit_mb=512", "-max_len=512"]
        command = [sys.executable, __file__, "--atheris-child", f"-artifact_prefix={corpus}/", *options, corpus]
        child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    done = re.search(r"#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)", child.stderr)
    seconds = re.search(r"Done \d+ runs in (\d+) second", child.stderr)
    names = ("num_inputs", "coverage", "features", "corpus_files")
    numbers = dict(zip(names, map(int, done.groups()), strict=True)) if done else {}
    failures = [] if done and child.returncode == 0 else [child.stderr[-2000:]]
    return {"seed": seed, **numbers, "seconds": int(seconds[1]) if seconds else None, "failures": failures}


def fuzz_with_atheris() -> None:
    """Be that process: libFuzzer takes the command line and ends it."""
    import atheris

    with atheris.instrument_imports(include=["sgc_diffusion.bitstream"]):
        for name in [name for name in sys.modules if name.startswith("sgc_diffusion")]:
            del sys.modules[name]
        from sgc_diffusion import bitstream as instrumented

    def decode_repaired(data: bytes) -> None:
        try:
            instrumented.decode(repair(data))
        except instrumented.BitstreamError:
            pass

    atheris.Setup([sys.argv[0], *sys.argv[2:]], decode_repaired)
    atheris.Fuzz()


def main() -> None:
    """Read the arguments, fuzz, and write the result."""
    if sys.argv[1:2] == ["--atheris-child"]:
        fuzz_with_atheris()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="files whose names begin so")
    parser.add_argument("--small", action="store_true", help="files of pictures of a few pixels with optional layers")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of CPU time at most")
    parser.add_argument("--atheris", action="store_true")
    arguments = parser.parse_args()
    paths = [path for path in sorted(GOLDEN.glob("*.sgc")) if path.stat().st_size < MAX_FILE_BYTES]
    paths = [path for path in paths if path.name.startswith(tuple(arguments.only))]
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False)
    result = {
        "command": f"python eval/fuzz_bitstream.py --inputs {arguments.inputs} --seed {arguments.seed}"
        + (f" --only {' '.join(arguments.only)}" if any(arguments.only) else "")
        + " --small" * arguments.small
        + (f" --seconds {arguments.seconds:g}" if arguments.seconds < float("inf") else "")
        + " --atheris" * arguments.atheris,
        "commit": commit.stdout.strip(),
        "files": "of fuzz_small_files.py" if arguments.small else [path.stem for path in paths],
        "platform": f"Python {platform.python_version()}, {platform.machine()}",
    }
    if arguments.atheris:
        result |= run_atheris(paths, arguments.inputs, arguments.seed)
    else:
        files = make_files() if arguments.small else [path.read_bytes() for path in paths]
        result |= run(files, arguments.inputs, arguments.seed, arguments.seconds)
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    raise SystemExit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()
