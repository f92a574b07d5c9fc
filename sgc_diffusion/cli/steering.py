"""The options of `sgc compress` that say where the bits go."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgc_diffusion.cli.arguments import integer, not_empty, number_between

if TYPE_CHECKING:
    from sgc_diffusion.analysis.steering import SteeringOptions

MAX_STRENGTH, MAX_IMPORTANCE = 3, 3


def add_steering_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of importance and regions to a parser."""
    add = parser.add_argument_group("where the bits go").add_argument
    add(
        "--importance",
        action="append",
        type=not_empty,
        metavar="SOURCE",
        default=[],
        help="classifier (where EfficientNet-Lite0 looks), classifier:NAME (timm/NAME or a Hub id), saliency:NAME (a "
        "Hub id), mask:FILE; may be given several times",
    )
    add(
        "--weight",
        action="append",
        type=_weight,
        default=[],
        metavar="CLASS=N",
        help="how much pixels of a class matter",
    )
    add("--importance-strength", type=integer(0, MAX_STRENGTH), default=1, help="0 to 3; default %(default)s")
    add(
        "--region",
        action="append",
        type=_numbers(4),
        default=[],
        metavar="X,Y,W,H",
        help="a box of pixels that is kept, to the bit",
    )
    add("--region-mask", action="append", type=not_empty, default=[], metavar="FILE", help="white is kept")
    add(
        "--region-polygon",
        action="append",
        type=_corners,
        default=[],
        metavar="X,Y,X,Y,...",
        help="three or more corners; the inside is kept",
    )
    add("--region-class", type=_names, default=[], metavar="NAMES", help="such as person,boat: what shows them is kept")
    add(
        "--region-model",
        type=not_empty,
        metavar="NAME",
        help="finds the objects: Hub id or folder of an instance or panoptic model, torchvision/maskrcnn_resnet50_fpn, "
        "or rapidocr for text; without it, the label map says where classes are",
    )
    add(
        "--region-importance",
        type=integer(1, MAX_IMPORTANCE),
        metavar="N",
        help="keep what matters 0.5 (1), 1.5 (2) or 3 times (3) the mean and more, of --importance and --weight",
    )
    add("--region-quality", type=number_between(0, 100), default=100, help="of what is kept; default 100, exact")


def steering_options(arguments: argparse.Namespace) -> SteeringOptions | None:
    """Return the steering that the arguments ask for, None for none.

    Raises:
        ValueError: an unknown source.
        OSError: a mask or a model that cannot be read.
    """
    asked = (arguments.importance, arguments.weight, arguments.region, arguments.region_mask, arguments.region_polygon)
    if arguments.region_importance is not None and not arguments.importance and not arguments.weight:
        raise ValueError("`--region-importance` needs an importance: give --importance or --weight too")
    if not any(asked) and not arguments.region_class and arguments.region_model is None:
        return None
    from sgc_diffusion.analysis.detail import inner_levels_of
    from sgc_diffusion.analysis.steering import SteeringOptions

    maps, mask = [], None
    for source in arguments.importance:
        kind, _, name = source.partition(":")
        if kind == "mask" and name:
            mask = _open(name)
        else:
            maps.append(_pixel_map(source, kind, name))
    finders: list[Any] = []
    if arguments.region_model is not None:
        from sgc_diffusion.zoo.object_models import load_finder

        finders.append(load_finder(arguments.region_model))
    return SteeringOptions(
        maps=maps,
        weights=dict(arguments.weight),
        importance_mask=mask,
        strength=arguments.importance_strength,
        boxes=arguments.region,
        masks=[_open(name) for name in arguments.region_mask],
        polygons=arguments.region_polygon,
        classes=arguments.region_class,
        finders=finders,
        important_from=arguments.region_importance,
        inner_levels=inner_levels_of(arguments.region_quality),
    )


def _pixel_map(source: str, kind: str, name: str) -> Any:
    if kind == "classifier":
        from sgc_diffusion.features.classifier import DEFAULT_CLASSIFIER, load_classifier
        from sgc_diffusion.features.grad_cam import importance_of

        return partial(importance_of, load_classifier(name or DEFAULT_CLASSIFIER), num_classes=3)
    if kind == "saliency" and name:
        from sgc_diffusion.zoo.saliency import load_saliency

        return load_saliency(name)
    raise ValueError(
        f"`--importance` {source} is no source; give classifier, classifier:NAME, saliency:NAME or mask:FILE"
    )


def _open(name: str) -> Any:
    from PIL import Image

    with Image.open(Path(name)) as image:
        image.load()
        return image


def _weight(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name, number_between(0, 1000)(number)
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no CLASS=N with a number from 0 to 1000") from error


def _numbers(count: int) -> Any:
    def parse(text: str) -> tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in text.split(","))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers") from error
        if len(numbers) != count:
            raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers, expected {count}")
        return numbers

    return parse


def _corners(text: str) -> list[tuple[float, float]]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers") from error
    if len(numbers) < 6 or len(numbers) % 2:
        raise argparse.ArgumentTypeError(f"{text!r} must have three or more pairs x,y")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("names of classes are expected, such as person,boat")
    return names
