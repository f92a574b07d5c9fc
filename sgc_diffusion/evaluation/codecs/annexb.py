"""Raw VVC and HEVC streams (byte stream format, Annex B of both standards) of one picture.

4:2:0 pictures are even-sized, and neither standard's conformance window can say otherwise. The true size of an odd one
is told by zero bytes behind the stream, which Annex B allows any number of (trailing_zero_8bits) and every decoder
skips: one if the width is odd, two if the height is, three if both. They are in the file and so are counted.
"""

from __future__ import annotations

import io

import numpy as np


def mark_odd_size(stream: bytes, size: tuple[int, int]) -> bytes:
    """Append the zero bytes that tell an odd width and height.

    Args:
        stream: that ends, as every stream, with a byte other than zero.
        size: true width and height, pixels.
    """
    return stream.rstrip(b"\0") + bytes(size[0] % 2 + 2 * (size[1] % 2))


def true_size(data: bytes, coded_size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of the picture in a file that `mark_odd_size` made, from the even ones of its frame."""
    num_zeros = len(data) - len(data.rstrip(b"\0"))
    if num_zeros > 3:
        raise ValueError(f"`data` must end in at most 3 zero bytes, got {num_zeros}; it is not whole")
    return coded_size[0] - num_zeros % 2, coded_size[1] - num_zeros // 2


def decode_frame(data: bytes, format_name: str) -> np.ndarray:
    """Decode a stream by FFmpeg's own decoder, which shares no code with vvenc and x265.

    Args:
        data: the file.
        format_name: `vvc` or `hevc`.

    Returns:
        Planes as `yuv.rgb_to_planes` makes them.

    Raises:
        ValueError: data that is no stream of one 10-bit 4:2:0 picture.
    """
    import av

    try:
        with av.open(io.BytesIO(data), "r", format=format_name) as container:
            container.streams.video[0].codec_context.thread_count = 1
            frames = list(container.decode(video=0))
    except av.FFmpegError as error:
        raise ValueError(f"`data` is no {format_name} stream that can be decoded: {error}") from error
    if len(frames) != 1 or frames[0].format.name != "yuv420p10le":
        formats = ", ".join(frame.format.name for frame in frames) or "none"
        raise ValueError(f"`data` must hold one yuv420p10le picture, got {formats}")
    return frames[0].to_ndarray()
