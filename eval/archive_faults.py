"""Kill an archive's packer again and again; at the end every picture must be there once, with the bytes of a calm run.

    python eval/archive_faults.py --kills 200 --output eval/results/archive_faults.json

Tiny pictures and a tiny encoder with random weights make a run short, so that a kill finds it anywhere: while the
sources are listed and hashed, while a unit is encoded, between a file's last byte and its rename, between a shard and
its commit record. Three ways of killing, all by SIGKILL: at a random time; before a rename (`os.rename` is an audit
event); before a file is opened. One in ten sources is unreadable. Then, with Ray: workers are killed while they encode,
and once the driver. With `--nodes`, a cluster of two nodes, of which one dies while both encode; whether the run goes
on is told. If it hangs it is killed, and the next run, on what is left of the cluster, must end well. Last: a disk that
is full (a limit on file sizes), and two packers.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgc_diffusion.archive.layout import Archive, ArchiveError, EncoderOptions
from sgc_diffusion.archive.packing import pack
from sgc_diffusion.archive.verification import verify
from sgc_diffusion.evaluation.measurement import commit

logger = logging.getLogger(__name__)
UNIT_SIZE = 4
LONGEST_START_S, LONGEST_REST_S = 180, 90  # that a cluster may take to begin, and to end when a node has died
EVENTS = {"rename": "os.rename", "open": "open"}


def write_sources(folder: Path, num_pictures: int) -> None:
    """Write tiny pictures; every tenth is none."""
    folder.mkdir()
    for number in range(num_pictures):
        path = folder / f"{number:04}.png"
        if number % 10 == 9:
            path.write_bytes(b"no picture" + number.to_bytes(2, "little"))
        else:
            pixels = np.random.default_rng(number).integers(0, 256, (3, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((24, 18), Image.Resampling.BICUBIC).save(path)


def write_encoder(folder: Path) -> EncoderOptions:
    """Write a pipeline that only encodes, with a tiny segmenter of random weights."""
    from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation

    from sgc_diffusion.families.preview import PreviewCompressionPipeline

    torch.manual_seed(0)
    config = MobileNetV2Config(depth_multiplier=0.1, image_size=32, num_labels=24, output_stride=8)
    segmenter = MobileNetV2ForSemanticSegmentation(config).eval()
    PreviewCompressionPipeline(segmenter, segmenter_short_side=32).save_pretrained(folder)
    return EncoderOptions(pipeline=str(folder))


def run_to_end(sources: Path, archive: Path, options: EncoderOptions, num_workers: int = 1) -> None:
    """Pack, as the command does."""
    for _ in pack([str(sources)], archive, options, unit_size=UNIT_SIZE, num_workers=num_workers):
        pass


def fork(target: Any, *arguments: Any) -> multiprocessing.Process:
    """Start a function in a forked process: the imports are done already, so a run takes a second."""
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def kill_at_event(event: str, count: int, *arguments: Any) -> None:
    """Pack in this process; die by SIGKILL right before an audit event comes for the nth time."""
    seen = 0

    def hook(name: str, _: Any) -> None:
        nonlocal seen
        if name == event:
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run_to_end(*arguments)


def kill_once(rng: random.Random, kind: str, arguments: tuple, longest_s: float) -> bool:
    """Let a run be killed; return whether it was, or ended before."""
    if kind == "time":
        process = fork(run_to_end, *arguments)
        process.join(rng.uniform(0, longest_s))
        process.kill()
    else:
        limit = 8 if kind == "rename" else 150
        process = fork(kill_at_event, EVENTS[kind], rng.randint(1, limit), *arguments)
    process.join()
    return process.exitcode == -signal.SIGKILL


def state_of(folder: Path) -> dict[str, bytes]:
    """Return name → content of all files of an archive that count, temporary ones among them."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".writer")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def check(calm: Path, killed: Path, num_pictures: int) -> dict[str, Any]:
    """Return whether an archive that was killed is the same as that of a calm run."""
    verdict = verify(Archive.open(killed))
    first, second = state_of(calm), state_of(killed)
    return {
        "same_bytes": first == second,
        "different_files": sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name)),
        "pictures": verdict.num_pictures,
        "dead_letters": verdict.num_dead,
        "expected_pictures": num_pictures - num_pictures // 10,
        "problems": verdict.problems,
    }


def attack(
    place: Path, sources: Path, options: EncoderOptions, kills: int, seed: int, longest_min: float, num_pictures: int
) -> dict[str, Any]:
    """Kill runs in this machine's processes until there were enough kills; archives are begun anew as they fill."""
    rng, counts, checks, ended = random.Random(seed), Counter(), [], 0
    deadline = time.monotonic() + 60 * longest_min
    fork(run_to_end, sources, place / "warm", options).join()
    started = time.perf_counter()
    calm_run = fork(run_to_end, sources, place / "calm", options)
    calm_run.join()
    longest_s = time.perf_counter() - started
    while counts.total() < kills and time.monotonic() < deadline:
        folder = place / f"killed-{len(checks)}"
        for _ in range(40):
            kind = rng.choice(["time", "rename", "rename", "open"])
            if kill_once(rng, kind, (sources, folder, options), longest_s):
                counts[kind] += 1
            else:
                ended += 1
                break
            if counts.total() >= kills or time.monotonic() > deadline:
                break
        fork(run_to_end, sources, folder, options).join()
        checks.append(check(place / "calm", folder, num_pictures))
        logger.info("%d kills, %s", counts.total(), checks[-1] | {"problems": len(checks[-1]["problems"])})
    return {"kills": dict(counts), "runs_that_ended_before": ended, "calm_run_s": longest_s, "archives": checks}


def attack_ray(place: Path, sources: Path, options: EncoderOptions, workers: int, num_pictures: int) -> dict[str, Any]:
    """Kill Ray's workers while they encode, then the driver; return what came of it."""
    process = fork(run_to_end, sources, place / "ray", options, 2)
    num_killed, deadline = 0, time.monotonic() + 240
    while process.is_alive() and num_killed < workers and time.monotonic() < deadline:
        time.sleep(0.5)
        actors = [pid for pid in descendants(process.pid or 0) if "MapWorker" in title(pid)]
        if actors and (place / "ray" / "commits").exists() and any((place / "ray" / "commits").iterdir()):
            os.kill(random.choice(actors), signal.SIGKILL)
            num_killed += 1
            time.sleep(2)
    was_alive = process.is_alive()
    process.kill()
    process.join()
    time.sleep(1)
    fork(run_to_end, sources, place / "ray", options).join()
    return {
        "workers_killed": num_killed,
        "driver_killed": was_alive,
        **check(place / "calm", place / "ray", num_pictures),
    }


def attack_node(place: Path, sources: Path, options: EncoderOptions, num_pictures: int) -> dict[str, Any]:
    """Pack on a cluster of two local nodes, let one die, and go on with the other; return what came of it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        folder = place / "nodes"
        command = [sys.executable, "-m", "sgc_diffusion", "archive", "pack", str(sources), str(folder)]
        command += ["--pipeline", options.pipeline, "--unit-size", str(UNIT_SIZE), "--ray-address", cluster.address]
        process = subprocess.Popen([*command, "--workers", "2"])  # no fork: Ray's threads are in this process
        deadline = time.monotonic() + LONGEST_START_S
        while process.poll() is None and not any(folder.glob("commits/*.json")) and time.monotonic() < deadline:
            time.sleep(0.2)
        committed = len(list(folder.glob("commits/*.json")))
        was_running = process.poll() is None
        cluster.remove_node(second, allow_graceful=False)
        ended = exit_code_within(process, LONGEST_REST_S)
        last = exit_code_within(subprocess.Popen([*command, "--workers", "1"]), LONGEST_START_S)
    finally:
        cluster.shutdown()
    result = {"units_committed_before": committed, "was_running": was_running, "exit_code_after_node_died": ended}
    return result | {"exit_code_of_next_run": last, **check(place / "calm", folder, num_pictures)}


def exit_code_within(process: subprocess.Popen, seconds: float) -> int | None:
    """Return the exit code of a process; one that does not end in time is killed, and None is returned."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, directly or not."""
    found, level = [], [pid]
    while level:
        level = [child for parent in level for child in children(parent)]
        found += level
    return found


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def title(pid: int) -> str:
    """Return the command line of a process; Ray's workers are named after what they do."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def report_error(target: Any, connection: Any, *arguments: Any) -> None:
    """Send the error that a function ends with."""
    try:
        target(*arguments)
        connection.send("no error")
    except (OSError, ArchiveError) as error:
        connection.send(f"{type(error).__name__}: {error}")


def fill_disk(after_scan: bool, sources: Path, archive: Path, options: EncoderOptions) -> None:
    """Pack where, from the beginning or from the first unit on, no file may have more than 6 kB, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    events = pack([str(sources)], archive, options, unit_size=UNIT_SIZE)
    if after_scan:
        next(events)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, 6_000))
    for _ in events:
        pass


def other_faults(place: Path, sources: Path, options: EncoderOptions, num_pictures: int) -> dict[str, Any]:
    """Return the messages of runs that cannot go on, and whether the next run ends well."""
    result: dict[str, Any] = {}
    ours, theirs = multiprocessing.Pipe()
    folder = place / "full"
    for name, after_scan in (("disk_full_while_scanning", False), ("disk_full_while_encoding", True)):
        fork(report_error, fill_disk, theirs, after_scan, sources, folder, options).join()
        result[name] = ours.recv() if ours.poll(1) else "no message"
    fork(run_to_end, sources, folder, options).join()
    result["after_disk_full"] = check(place / "calm", folder, num_pictures)
    holder = pack([str(sources)], place / "two", options, unit_size=UNIT_SIZE)
    next(holder)
    fork(report_error, run_to_end, theirs, sources, place / "two", options).join()
    result["second_packer"] = ours.recv() if ours.poll(1) else "no message"
    holder.close()
    return result


def main() -> None:
    """Read the arguments, do harm, check, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of when to kill")
    parser.add_argument(
        "--minutes", type=float, default=60, help="after which no more is killed in this process's runs"
    )
    parser.add_argument("--ray-kills", type=int, default=4, help="workers; 0 leaves Ray out")
    parser.add_argument("--nodes", action="store_true", help="let a node of a cluster of two die")
    parser.add_argument("--output", type=Path, help="JSON file; a run is added to those in it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    report: dict[str, Any] = {
        "command": " ".join(["python", "eval/archive_faults.py", *sys.argv[1:]]),
        "commit": commit(),
        "platform": platform.platform(),
        "sources": arguments.pictures,
    }
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_sources(place / "sources", arguments.pictures)
        options = write_encoder(place / "encoder")
        common = place, place / "sources", options
        report["in_process"] = attack(*common, arguments.kills, arguments.seed, arguments.minutes, arguments.pictures)
        report["other"] = other_faults(*common, arguments.pictures)
        if arguments.ray_kills:
            report["ray"] = attack_ray(*common, arguments.ray_kills, arguments.pictures)
        if arguments.nodes:
            report["nodes"] = attack_node(*common, arguments.pictures)
    good = [entry["same_bytes"] and not entry["problems"] for entry in report["in_process"]["archives"]]
    report["archives_equal_to_a_calm_run"] = f"{sum(good)} of {len(good)}"
    logger.info("%s", report["archives_equal_to_a_calm_run"])
    if arguments.output:
        earlier = json.loads(arguments.output.read_text()) if arguments.output.exists() else []
        arguments.output.write_text(json.dumps([*earlier, report], indent=1) + "\n")


if __name__ == "__main__":
    main()
