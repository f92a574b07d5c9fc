"""Codecs to compare, all behind one interface.

    spec ──make_codec──▶ Codec      image ──encode──▶ file ──decode──▶ image

`sgc` is this project's codec; `vvc:qp=55` codes at a setting, `vvc@300` at the finest setting whose file takes at most
300 bytes, `vvc-down@300` reduces the picture first and enlarges it after, at the scale that gives the best PSNR;
`vvc@budget` takes the bytes from the run, such as those of SGC's file of the same picture.

codec.py      the interface
anchor.py     a codec with one quality parameter, and coding at a fixed setting
budget.py     the finest setting that fits
reduced.py    reduce, code, enlarge
vvc.py hevc.py pillow.py    the anchors; yuv.py, annexb.py: what the first two share
sgc.py        this project's codec
specs.py      from text to codec
"""

from sgc_diffusion.evaluation.codecs.codec import Codec
from sgc_diffusion.evaluation.codecs.specs import ANCHORS, expand_specs, make_codec

__all__ = ["ANCHORS", "Codec", "expand_specs", "make_codec"]
