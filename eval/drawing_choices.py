"""Which way of drawing is better: solver, steps, guidance, few-step head, best of several seeds, colors as condition.

    python eval/drawing_choices.py --images FOLDER --weights-dir WEIGHTS --output eval/results/drawing_choices.json

Each picture, a center square at `--size`, is compressed once and drawn in every way, twice, from two seeds. A row of
the table is one way: means over pictures and seeds, with the 95 % bootstrap interval over pictures; `seconds` is the
median time of one picture alone. Differences to the first way are paired by picture. `vgg_distance` and the labels are
of networks in WEIGHTS (`eval/README.md`); a metric without weights is left out.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sgc_diffusion import SemanticCompressionPipeline, SemanticPayload
from sgc_diffusion.analysis.by_synthesis import nearest_picture
from sgc_diffusion.analysis.image_input import open_image
from sgc_diffusion.atomic_file import atomic_path
from sgc_diffusion.evaluation.measurement import commit
from sgc_diffusion.evaluation.metrics import load_metrics
from sgc_diffusion.evaluation.metrics.distortion import gradient_magnitude
from sgc_diffusion.evaluation.pictures import center_square, find_pictures
from sgc_diffusion.evaluation.statistics import mean_and_interval
from sgc_diffusion.families.latent_diffusion import LatentDiffusionCompressionPipeline
from sgc_diffusion.payload import DecoderRecipe
from sgc_diffusion.synthesis.conditioning import NUM_COLOR_PLANES
from sgc_diffusion.synthesis.first_stage import decode_latents, encode_image
from sgc_diffusion.synthesis.passes import Pass

METRICS = (
    *("vgg_distance", "label_agreement", "lite1_cosine", "textured_ratio", "calm_ratio", "niqe", "psnr"),
    *("lite1_frechet", "lite1_frechet_excess", "texture_correlation"),
)
BETWEEN_SEEDS = ("vgg_distance", "psnr")  # also measured from one seed's picture to the other's: how much they vary
NUM_SEEDS = 2
# pipeline, original, its payload, seed of the noise → picture
Draw = Callable[[SemanticCompressionPipeline, Image.Image, SemanticPayload, int], Image.Image]


class WithoutColor(LatentDiffusionCompressionPipeline):
    """The same networks, told that the colors are unknown: they enter only as where denoising starts."""

    def _condition(self, payload: SemanticPayload, height: int, width: int) -> torch.Tensor:
        planes = super()._condition(payload, height, width)
        planes[-NUM_COLOR_PLANES:] = 0
        return planes


class AtOnce(LatentDiffusionCompressionPipeline):
    """The same networks, which draw from noise in one pass a size, without drawing over."""

    def _passes(self, sizes: list[tuple[int, int]], recipe: DecoderRecipe) -> list[Pass]:
        gains = self.config.noise_gain, self.config.redraw_gain
        return [Pass(*size, recipe.num_inference_steps, 1.0, gains[min(i, 1)]) for i, size in enumerate(sizes)]


def drawn_by(family: type[SemanticCompressionPipeline] | None = None, **options: Any) -> Draw:
    """Return a way that differs from the preset `fine` in options of `__call__`, and in the family if one is given."""

    def draw(pipe: SemanticCompressionPipeline, _: Image.Image, payload: SemanticPayload, seed: int) -> Image.Image:
        pipe = pipe if family is None else variant(family, pipe)
        generator = torch.Generator().manual_seed(seed)
        return pipe(payload, generator=generator, **{"preset": "fine"} | options).images[0]

    return draw


def variant(family: type[SemanticCompressionPipeline], pipe: SemanticCompressionPipeline, **components: Any) -> Any:
    """Return a pipeline of the same networks with other components and settings."""
    other = family.from_pipe(pipe, **components)
    other.set_progress_bar_config(disable=True)
    return other


def with_setting(name: str, value: float) -> Draw:
    """Return a way with another value of a number in the pipeline's config."""

    def draw(pipe: SemanticCompressionPipeline, image: Image.Image, payload: SemanticPayload, seed: int) -> Image.Image:
        return drawn_by()(variant(type(pipe), pipe, **{name: value}), image, payload, seed)

    return draw


def with_spacing(spacing: str) -> Draw:
    """Return a way whose timesteps lie otherwise in the schedule; a `timestep_spacing` of diffusers."""

    def draw(pipe: Any, image: Image.Image, payload: SemanticPayload, seed: int) -> Image.Image:
        scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, timestep_spacing=spacing)
        return drawn_by()(variant(type(pipe), pipe, scheduler=scheduler), image, payload, seed)

    return draw


@torch.no_grad()
def through_first_stage(pipe: Any, image: Image.Image, *_: Any) -> Image.Image:
    """Return the original, encoded to latents and decoded: what the first stage alone costs."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    decoded = decode_latents(pipe.vae, encode_image(pipe.vae, pixels)).clamp(-1, 1)[0]
    return Image.fromarray(((decoded.permute(1, 2, 0) / 2 + 0.5) * 255).round().byte().numpy())


def reduced(factor: int) -> Draw:
    """Return the original, reduced and enlarged again: how sensitive the metrics are to detail."""

    def draw(_: SemanticCompressionPipeline, image: Image.Image, *__: Any) -> Image.Image:
        small = image.resize((image.width // factor, image.height // factor), Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.BICUBIC)

    return draw


def best_of(count: int) -> Draw:
    """Return analysis by synthesis: of so many seeds, what the encoder would choose; in one step."""

    def draw(pipe: SemanticCompressionPipeline, image: Image.Image, payload: SemanticPayload, seed: int) -> Image.Image:
        seeds = range(count * seed, count * (seed + 1))
        drawn = [WAYS["few-step head, 1 step"](pipe, image, payload, candidate) for candidate in seeds]
        return drawn[nearest_picture(image, drawn, (image.height, image.width))]

    return draw


WAYS: dict[str, Draw] = {
    "20 steps": drawn_by(),
    "20 steps at once": drawn_by(AtOnce),
    "10 steps": drawn_by(num_inference_steps=10),
    "14 steps": drawn_by(num_inference_steps=14),
    "50 steps": drawn_by(num_inference_steps=50),
    "UniPC, 20 steps": drawn_by(scheduler="unipc"),
    "DDIM, 200 steps": drawn_by(scheduler="ddim", num_inference_steps=200),
    "guidance 1": drawn_by(guidance_scale=1.0),
    "guidance 2": drawn_by(guidance_scale=2.0),
    "guidance 4": drawn_by(guidance_scale=4.0),
    "SDEdit 0.7, colors also as condition": drawn_by(strength=0.7),
    "SDEdit 0.7, colors only as start": drawn_by(WithoutColor, strength=0.7),
    "few-step head, 1 step": drawn_by(scheduler="lcm", num_inference_steps=1),
    "few-step head, 2 steps": drawn_by(scheduler="lcm", num_inference_steps=2),
    "few-step head, 3 steps": drawn_by(scheduler="lcm", num_inference_steps=3),
    "few-step head, 4 steps": drawn_by(scheduler="lcm", num_inference_steps=4),
    "few-step head, 2 steps at once": drawn_by(AtOnce, scheduler="lcm", num_inference_steps=2),
    "few-step head, 1 step, best of 8 seeds": best_of(8),
    "leading timesteps": with_spacing("leading"),
    "noise gain 1.00": with_setting("noise_gain", 1.00),
    "noise gain 1.05": with_setting("noise_gain", 1.05),
    "noise gain 1.10": with_setting("noise_gain", 1.10),
    "noise gain 1.20": with_setting("noise_gain", 1.20),
    "redraw gain 1.00": with_setting("redraw_gain", 1.00),
    "redraw gain 1.15": with_setting("redraw_gain", 1.15),
    "the original through the first stage": through_first_stage,
    "the original at 1/2": reduced(2),
    "the original at 1/4": reduced(4),
}


def measure(way: Draw, pipe: SemanticCompressionPipeline, pictures: list, metrics: Any) -> dict[str, Any]:
    """Return the figures of one way of drawing.

    Args:
        way: draws one picture.
        pipe: with it.
        pictures: (original, payload) each.
        metrics: from `load_metrics`.

    Returns:
        `seconds`, metrics of sets, and for each other metric one value a picture, the mean of its seeds.
    """
    rows, seconds = [], []
    metrics.start_set()
    for image, payload in pictures:
        figures, drawings = [], []
        for seed in range(NUM_SEEDS):
            started = time.perf_counter()
            drawn = way(pipe, image, payload, seed)
            seconds.append(time.perf_counter() - started)
            values = metrics.measure(np.asarray(image), np.asarray(drawn))
            figures.append(
                values | {"gradient_ratio": gradient_magnitude(drawn) / max(1e-9, gradient_magnitude(image))}
            )
            drawings.append(np.asarray(drawn))
        metrics.add(np.asarray(image), drawings[0])
        between = metrics.measure(*drawings[:2])
        means = {name: statistics.fmean(each[name] for each in figures) for name in figures[0]}
        rows.append(means | {f"seeds_{name}": between[name] for name in BETWEEN_SEEDS if name in between})
    per_picture = {name: [row[name] for row in rows] for name in rows[0]}
    return {"seconds": statistics.median(seconds), **metrics.finish_set(), "pictures": per_picture}


def summarize(measured: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Return means with their intervals, and those of the differences to the first way."""
    summary: dict[str, Any] = {name: value for name, value in measured.items() if name != "pictures"}
    for name, values in measured["pictures"].items():
        difference = np.subtract(values, first["pictures"][name])
        summary[name] = {
            "mean": list(mean_and_interval(values)),
            "minus_first": list(mean_and_interval(difference)),
        }
    return summary


def main() -> None:
    """Draw in every way, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", nargs="+", required=True, help="files, folders or patterns")
    parser.add_argument("--weights-dir", help="local weights of metrics")
    parser.add_argument("--pipeline", default="landscape-256")
    parser.add_argument("--ways", help=f"with semicolons; default all: {'; '.join(WAYS)}")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--output", type=Path, help="JSON of everything")
    arguments = parser.parse_args()
    pipe = SemanticCompressionPipeline.from_pretrained(arguments.pipeline)
    pipe.set_progress_bar_config(disable=True)
    metrics = load_metrics(METRICS, weights_dir=arguments.weights_dir)
    pictures = []
    for source in find_pictures(arguments.images, arguments.limit).values():
        square = center_square(open_image(source), arguments.size, Image.Resampling.BICUBIC)
        pictures.append((square, pipe.analyze(square)))
    ways = [name.strip() for name in arguments.ways.split(";")] if arguments.ways else list(WAYS)
    measured, report = {}, {}
    for name in ways:
        measured[name] = measure(WAYS[name], pipe, pictures, metrics)
        report[name] = summarize(measured[name], measured[ways[0]])
        means = {key: value["mean"][0] if isinstance(value, dict) else value for key, value in report[name].items()}
        print(f"{name:40}", *(f"{key} {value:.4f}" for key, value in means.items()), flush=True)
    if arguments.output:
        about = {
            "command": " ".join(["python", *sys.argv]),
            "commit": commit(),
            "platform": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
            "num_images": len(pictures),
            "size": arguments.size,
            "num_seeds": NUM_SEEDS,
            "ways": report,
        }
        with atomic_path(arguments.output) as temporary:
            temporary.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
