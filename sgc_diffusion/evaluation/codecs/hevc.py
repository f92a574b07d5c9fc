"""HEVC (H.265) intra by x265, decoded by FFmpeg's decoder: the codec inside BPG and HEIC, without their boxes.

The raw stream carries some 80 bytes of parameter sets. x265 codes intra pictures at a lower QP than it is told, by
`ipratio`; here it is told not to, so that `qp` is the QP, and to look at squared error alone, as the VVC anchor does.
"""

from __future__ import annotations

from fractions import Fraction

from PIL import Image

from sgc_diffusion.evaluation.codecs.anchor import Anchor, require_package
from sgc_diffusion.evaluation.codecs.annexb import decode_frame, mark_odd_size, true_size
from sgc_diffusion.evaluation.codecs.codec import installed_versions
from sgc_diffusion.evaluation.codecs.yuv import planes_to_rgb, rgb_to_planes

PARAMETERS = "keyint=1:info=0:ipratio=1:psy-rd=0:psy-rdoq=0:aq-mode=0:pools=none:frame-threads=1:log-level=none"


class Hevc(Anchor):
    """HEVC, one intra picture."""

    name, title, suffix, parameter = "hevc", "HEVC intra (x265)", ".265", "qp"
    qualities = range(51, -1, -1)
    presets = (51, 47, 43, 37)
    smallest_side = 16

    def require(self) -> None:
        """See the base class."""
        require_package("av", "PyAV", "vvc", "HEVC")

    def load(self) -> None:
        """See the base class."""
        import av  # noqa: F401

    def versions(self) -> dict[str, str]:
        """See the base class."""
        return installed_versions("av", "numpy", "pillow")

    def encode(self, image: Image.Image, quality: float) -> bytes:
        """See the base class."""
        import av

        planes = rgb_to_planes(image)
        context = av.CodecContext.create("libx265", "w")
        context.width, context.height = planes.shape[1], planes.shape[0] * 2 // 3
        context.pix_fmt, context.time_base = "yuv420p10le", Fraction(1, 1)
        context.options = {"preset": "veryslow", "x265-params": f"qp={quality}:{PARAMETERS}"}
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p10le")
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
        return mark_odd_size(b"".join(bytes(packet) for packet in packets), image.size)

    def decode(self, data: bytes) -> Image.Image:
        """See the base class."""
        planes = decode_frame(data, "hevc")
        return planes_to_rgb(planes, true_size(data, (planes.shape[1], planes.shape[0] * 2 // 3)))
