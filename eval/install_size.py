"""What installations take: disk, packages, time, and the memory of the command, each in a fresh environment.

    python eval/install_size.py [--output eval/results/install_size.json]

Builds the wheel, installs it with different extras, and runs the command from an empty folder.
"""

import argparse
import json
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
SELECTIONS = {"reader": "", "sealed files": "[crypto]", "torch": "[torch,pinned]", "app": "[demo,pinned]"}
MEBIBYTE = 2**20
PEAK = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
)


def build_wheel(folder: Path) -> Path:
    """Return the wheel of this source, built in `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def run_measured(python: Path, arguments: list[str], folder: Path) -> dict[str, float]:
    """Run the command in a process of its own; return its exit code, seconds and peak of memory in MiB."""
    command = [str(python), "-I", "-m", "sgc_diffusion", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    code, peak_mb = map(int, done.stdout.split())
    return {"exit_code": code, "seconds": round(time.perf_counter() - started, 2), "peak_memory_mb": peak_mb}


def measure(name: str, wheel: Path, folder: Path) -> dict[str, object]:
    """Install a selection into a fresh environment and measure it."""
    environment, place = folder / "venv", folder / "empty"
    venv.create(environment, with_pip=True)
    place.mkdir()
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    purelib = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    before_bytes, before = _size_bytes(environment), set(purelib.glob("*.dist-info"))
    started = time.perf_counter()
    requirement = f"{wheel}{SELECTIONS[name]}"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-compile", requirement], check=True)
    result: dict[str, object] = {
        "requirement": f"sgc-diffusion{SELECTIONS[name]}",
        "disk_mb": round((_size_bytes(environment) - before_bytes) / MEBIBYTE),
        "packages": len(set(purelib.glob("*.dist-info")) - before),
        "install_seconds": round(time.perf_counter() - started, 1),
    }
    (place / "a.sgc").write_bytes((ROOT / "tests" / "golden" / "coco-32.sgc").read_bytes())
    runs = {"inspect": ["inspect", "a.sgc"], "preview": ["preview", "a.sgc"]}
    if "torch" in SELECTIONS[name] or "demo" in SELECTIONS[name]:
        photograph = str(ROOT / "pipelines" / "landscape.jpg")
        runs["compress"] = ["compress", photograph, "-o", "b.sgc"]
        runs["decompress"] = ["decompress", "b.sgc", "-o", "b.png"]
    return result | {"commands": {command: run_measured(python, words, place) for command, words in runs.items()}}


def _size_bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def main() -> None:
    """Measure all selections and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "eval" / "results" / "install_size.json")
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    report: dict[str, object] = {
        "command": "python eval/install_size.py",
        "commit": commit.stdout.strip(),
        "platform": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    with tempfile.TemporaryDirectory() as place:
        wheel = build_wheel(Path(place))
        report["wheel_mb"] = round(wheel.stat().st_size / MEBIBYTE, 1)
        for name in SELECTIONS:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                report[name] = measure(name, wheel, Path(folder))
                print(name, json.dumps(report[name]), flush=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
