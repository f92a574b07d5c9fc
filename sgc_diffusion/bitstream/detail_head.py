"""What stands before the stream of a detail level; the text of `detail_levels` says what it means."""

from __future__ import annotations

from dataclasses import dataclass

from sgc_diffusion.bitstream.errors import CorruptSectionError, TruncatedStreamError
from sgc_diffusion.payload.importance import IMPORTANCE_KIND
from sgc_diffusion.payload.regions import REGIONS_KIND

_BASE_SHIFT = 4  # bits of the first byte that belong to the stream, or say that there are flags
_FLAGGED = (1 << _BASE_SHIFT) - 1  # these bits where there are: no stream begins so
_STEERING_KINDS = (IMPORTANCE_KIND, REGIONS_KIND)  # by bit of the flags
_HAS_PSNR, _IS_PART = 4, 8


@dataclass(frozen=True)
class DetailHead:
    """What a level says before its stream.

    Attributes:
        distance: number of the level less that of the one it is built on; 0 for the first of a file.
        steering_kinds: of the layers that steer the detail.
        psnr_halves: see `DetailLevel`.
        num_bands: see `DetailLevel`.
    """

    distance: int
    steering_kinds: tuple[int, ...] = ()
    psnr_halves: int = 0
    num_bands: int | None = None

    def before(self, stream: bytes) -> bytes:
        """Return the body of a level with this head and a stream."""
        flags = sum(1 << _STEERING_KINDS.index(kind) for kind in self.steering_kinds)
        flags |= _HAS_PSNR * bool(self.psnr_halves) | _IS_PART * (self.num_bands is not None)
        if not flags:
            return bytes([stream[0] | self.distance << _BASE_SHIFT]) + stream[1:]
        values = [self.psnr_halves] * bool(self.psnr_halves)
        values += [self.num_bands] if self.num_bands is not None else []
        return bytes([_FLAGGED | self.distance << _BASE_SHIFT, flags, *values]) + stream


def named_kinds(body: bytes, kind: int) -> tuple[int, ...]:
    """Return the kinds that the first bytes of a level of some kind name: layers that steer, the level below."""
    distance = body[0] >> _BASE_SHIFT if body else 0
    flags = body[1] if len(body) > 1 and body[0] & _FLAGGED == _FLAGGED else 0
    return (*_kinds(flags), *((kind - distance,) if distance else ()))


def read_head(body: bytes) -> tuple[DetailHead, bytes]:
    """Return what stands before the stream of a level, and the stream.

    Raises:
        BitstreamError: it ends before, or is not what an encoder writes.
    """
    if not body:
        raise TruncatedStreamError("The detail level is empty")
    distance = body[0] >> _BASE_SHIFT
    if body[0] & _FLAGGED != _FLAGGED:
        return DetailHead(distance), bytes([body[0] & _FLAGGED]) + body[1:]
    flags, values = body[1] if len(body) > 1 else 0, list(body[2:4])
    num_values = bool(flags & _HAS_PSNR) + bool(flags & _IS_PART)
    if not 0 < flags < 16 or len(values) < num_values:
        raise CorruptSectionError("The detail level begins in a way that no encoder writes")
    psnr_halves = values.pop(0) if flags & _HAS_PSNR else 0
    num_bands = values.pop(0) if flags & _IS_PART else None
    if (flags & _HAS_PSNR and not 0 < psnr_halves < 128) or num_bands == 0:
        raise CorruptSectionError("The detail level tells a PSNR or a number of bands that no encoder writes")
    return DetailHead(distance, _kinds(flags), psnr_halves, num_bands), body[2 + num_values :]


def told_psnr(body: bytes) -> float | None:
    """Return the PSNR in dB that the body of a level tells, None if it tells none."""
    try:
        halves = read_head(body)[0].psnr_halves
    except (CorruptSectionError, TruncatedStreamError):
        return None
    return halves / 2 if halves else None


def _kinds(flags: int) -> tuple[int, ...]:
    return tuple(kind for bit, kind in enumerate(_STEERING_KINDS) if flags >> bit & 1)
