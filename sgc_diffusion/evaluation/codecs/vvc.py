"""VVC (H.266) by Fraunhofer's vvenc, decoded by FFmpeg's decoder.

    image ──yuv──▶ 10-bit 4:2:0 ──libvvenc in imageio-ffmpeg's program, or vvencapp──▶ one intra picture, raw stream

The paper (Bordin & Maugey, MMSP 2023, section III-B) says vvenc 1.6 and QP 55, and no more. Here the preset is vvenc's
default, medium, and its perceptual adaptation (`qpa`) is off, since the paper holds VVC to optimize squared error. What
the stream does not need is left out: at one frame a second the parameter sets carry no table of picture groups, and the
access unit delimiter and SEI messages go. The parameter sets that remain take some 70 bytes.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from sgc_diffusion.evaluation.codecs.anchor import Anchor, require_package
from sgc_diffusion.evaluation.codecs.annexb import decode_frame, mark_odd_size, true_size
from sgc_diffusion.evaluation.codecs.codec import installed_versions
from sgc_diffusion.evaluation.codecs.yuv import planes_to_rgb, rgb_to_planes

UNNEEDED_UNITS = "filter_units=remove_types=20|23-24"  # access unit delimiter, prefix and suffix SEI


class Vvc(Anchor):
    """VVC, one intra picture."""

    name, title, suffix, parameter = "vvc", "VVC (vvenc)", ".266", "qp"
    qualities = range(63, -1, -1)
    presets = (63, 55, 47, 39)
    smallest_side = 16

    def require(self) -> None:
        """See the base class."""
        require_package("av", "PyAV, which decodes", "vvc", "VVC")
        _encoder()

    def load(self) -> None:
        """See the base class."""
        import av  # noqa: F401

        _encoder()

    def versions(self) -> dict[str, str]:
        """See the base class."""
        program = _encoder()
        if program.stem == "vvencapp":
            return {"vvencapp": _first_line(program, "--version"), **installed_versions("av", "numpy", "pillow")}
        return {"ffmpeg": _first_line(program, "-version"), **installed_versions("av", "numpy", "pillow")}

    def encode(self, image: Image.Image, quality: float) -> bytes:
        """See the base class."""
        planes = rgb_to_planes(image)
        height, width = planes.shape[0] * 2 // 3, planes.shape[1]
        program = _encoder()
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "picture.yuv"), Path(folder, "picture.266")
            source.write_bytes(planes.astype("<u2").tobytes())
            make = _vvencapp_arguments if program.stem == "vvencapp" else _ffmpeg_arguments
            command = [str(program), *make(source, target, f"{width}x{height}", quality)]
            result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if result.returncode or not target.is_file() or not target.stat().st_size:
                lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
                raise OSError(f"{program.name} could not code {width}×{height} at qp {quality}: {lines[0]}")
            return mark_odd_size(target.read_bytes(), image.size)

    def decode(self, data: bytes) -> Image.Image:
        """See the base class."""
        planes = decode_frame(data, "vvc")
        return planes_to_rgb(planes, true_size(data, (planes.shape[1], planes.shape[0] * 2 // 3)))


def _ffmpeg_arguments(source: Path, target: Path, size: str, qp: float) -> list[str]:
    # To a file, never to standard output: vvenc writes warnings there, which would be counted as picture.
    return [
        *("-y", "-loglevel", "error", "-r", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", size),
        *("-i", str(source), "-frames:v", "1", "-c:v", "libvvenc", "-threads", "1", "-preset", "medium"),
        *("-qp", str(qp), "-qpa", "0", "-bsf:v", UNNEEDED_UNITS, "-f", "vvc", str(target)),
    ]


def _vvencapp_arguments(source: Path, target: Path, size: str, qp: float) -> list[str]:
    return [
        *("--input", str(source), "--size", size, "--format", "yuv420_10", "--framerate", "1", "--frames", "1"),
        *("--preset", "medium", "--qp", str(qp), "--qpa", "0", "--threads", "1", "--output", str(target)),
    ]


@functools.cache
def _encoder() -> Path:
    """Return the program that encodes: imageio-ffmpeg's, whose version the extra fixes, else vvencapp.

    Raises:
        ImportError: neither is here.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        try:
            program = imageio_ffmpeg.get_ffmpeg_exe()
        except RuntimeError:  # no binary in the wheel of this platform
            program = None
        if program and _has_vvenc(program):
            return Path(program)
    program = shutil.which("vvencapp")
    if program:
        return Path(program)
    raise ImportError(
        "VVC needs an encoder: pip install 'sgc-diffusion[vvc]' (its ffmpeg has libvvenc on Linux), or put vvencapp "
        "(https://github.com/fraunhoferhhi/vvenc) on PATH"
    )


def _has_vvenc(program: str) -> bool:
    result = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False)
    return "libvvenc" in result.stdout


def _first_line(program: Path, option: str) -> str:
    result = subprocess.run([str(program), option], capture_output=True, text=True, check=False)
    line = next(iter((result.stdout or result.stderr).strip().splitlines()), "unknown")
    return line.split(" Copyright")[0]
