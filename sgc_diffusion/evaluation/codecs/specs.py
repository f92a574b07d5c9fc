"""From text to codecs.

spec    sgc[:option=value…]  ANCHOR:parameter=value  ANCHOR@bytes  ANCHOR-down@bytes  vvc-paper
bytes   a number, or `budget`: what the run gives each picture
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sgc_diffusion.evaluation.codecs.anchor import Anchor, FixedCodec
from sgc_diffusion.evaluation.codecs.budget import BudgetCodec
from sgc_diffusion.evaluation.codecs.codec import Codec
from sgc_diffusion.evaluation.codecs.hevc import Hevc
from sgc_diffusion.evaluation.codecs.pillow import PILLOW_ANCHORS
from sgc_diffusion.evaluation.codecs.reduced import ReducedCodec
from sgc_diffusion.evaluation.codecs.sgc import SgcCodec, parse_options
from sgc_diffusion.evaluation.codecs.vvc import Vvc

ANCHORS: dict[str, Anchor] = {anchor.name: anchor for anchor in (Vvc(), Hevc(), *PILLOW_ANCHORS)}
PAPER = "vvc-paper"  # the line "VVC" in table I of Bordin & Maugey, MMSP 2023
PAPER_QP = 55


def make_codec(spec: str) -> Codec:
    """Make the codec that a spec names.

    Args:
        spec: see the top of this file.

    Raises:
        ValueError: an unknown codec, option or value.

    Example:
        >>> make_codec("vvc:qp=55").title
        'VVC (vvenc), QP 55'
    """
    if spec == "sgc" or spec.startswith("sgc:"):
        return SgcCodec(parse_options(spec.removeprefix("sgc")))
    base, at, rate = spec.partition("@")
    name, *pairs = base.split(":")
    options = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    if len(options) < len(pairs):
        raise ValueError(f"`codecs` must give each option once, got {spec!r}")
    if spec == PAPER:
        return _paper_codec()
    anchor = ANCHORS.get(name.removesuffix("-down"))
    if anchor is None:
        raise ValueError(f"`codecs` must be sgc, {', '.join(ANCHORS)} or {PAPER}, with settings or not; got {spec!r}")
    if at:
        return _budget_codec(spec, anchor, rate, has_options=bool(options), is_reduced=name.endswith("-down"))
    return _fixed_codec(spec, anchor, options, is_reduced=name.endswith("-down"))


def _paper_codec() -> Codec:
    codec = FixedCodec(ANCHORS["vvc"], PAPER_QP)
    codec.spec, codec.name, codec.title = PAPER, PAPER, f"{codec.title} (the paper's line)"
    return codec


def _budget_codec(spec: str, anchor: Anchor, rate: str, *, has_options: bool, is_reduced: bool) -> Codec:
    if has_options or not (rate == "budget" or re.fullmatch(r"[0-9]{1,9}", rate)):
        raise ValueError(f"`codecs` must be like {anchor.name}@budget or {anchor.name}@300 (bytes), got {spec!r}")
    return BudgetCodec(anchor, None if rate == "budget" else int(rate), is_reduced=is_reduced)


def _fixed_codec(spec: str, anchor: Anchor, options: dict[str, str], *, is_reduced: bool) -> Codec:
    known = {anchor.parameter, "scale", "filter"} if is_reduced else {anchor.parameter}
    try:
        quality = float(options[anchor.parameter])
        scale = int(options["scale"]) if is_reduced else 1
    except (KeyError, ValueError) as error:
        wanted = f"{anchor.parameter}=NUMBER" + (":scale=NUMBER" if is_reduced else "")
        raise ValueError(f"`codecs` must be like {spec.split(':')[0]}:{wanted}, got {spec!r}") from error
    if set(options) - known:
        raise ValueError(f"`codecs`: {', '.join(set(options) - known)} is no option of {anchor.name}, got {spec!r}")
    if is_reduced:
        return ReducedCodec(anchor, quality, scale, options.get("filter", "lanczos"))
    return FixedCodec(anchor, quality)


def split_specs(text: str) -> list[str]:
    """Return the specs of a list with commas; one ends before a comma and the name of a codec, so it may hold others.

    Example:
        >>> split_specs("sgc:pipeline=a,b/c,vvc@300")
        ['sgc:pipeline=a,b/c', 'vvc@300']
    """
    names = "|".join(("sgc", PAPER, *ANCHORS))
    return re.split(rf",(?=(?:{names})(?:-down)?(?:[:@,]|$))", text)


def expand_specs(specs: Iterable[str], budget: int | str | None) -> list[str]:
    """Write out bare anchors: their presets without a budget; with one, at it and reduced at it.

    Args:
        specs: such as `["sgc", "vvc", "jpeg:quality=5"]`.
        budget: bytes for each picture, `"same"` as SGC's file of it, or None.

    Returns:
        Specs, each once, those of SGC first: the others may get its bytes.

    Raises:
        ValueError: `@budget` without a budget, or the budget of SGC without SGC.
    """
    expanded: list[str] = []
    rate = "budget" if budget == "same" else budget
    for spec in specs:
        if spec not in ANCHORS:
            is_open = rate is not None and not spec.startswith("sgc") and spec.endswith("@budget")
            expanded.append(f"{spec.removesuffix('budget')}{rate}" if is_open else spec)
        elif rate is None:
            anchor = ANCHORS[spec]
            expanded += [FixedCodec(anchor, quality).spec for quality in anchor.presets]
        else:
            expanded += [f"{spec}@{rate}", f"{spec}-down@{rate}"]
    codecs = [make_codec(spec) for spec in dict.fromkeys(expanded)]
    if any(codec.needs_budget for codec in codecs):
        if budget is None:
            raise ValueError("`budget` must be given for codecs with @budget: `same`, or a number of bytes")
        if not any(codec.family == "sgc" for codec in codecs):
            raise ValueError("`budget` same needs sgc among the codecs: its files say how many bytes the others get")
    specs_by_name: dict[str, str] = {}
    for codec in codecs:
        other = specs_by_name.setdefault(codec.name, codec.spec)
        if other != codec.spec:
            raise ValueError(
                f"`codecs`: {other} and {codec.spec} would both write {codec.name}.json; run one at a time"
            )
    ordered = sorted(codecs, key=lambda codec: codec.family != "sgc")
    return list(dict.fromkeys(codec.spec for codec in ordered))
