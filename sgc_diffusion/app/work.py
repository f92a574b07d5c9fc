"""What the app does, without a word about how it looks: one visitor's picture, compressed, cut, painted on and drawn.

photograph ──compress──▶ Visit ──cut, paint──▶ file ──show (at once), draw (with the network)──▶ picture
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sgc_diffusion import bitstream
from sgc_diffusion.analysis.image_input import to_rgb
from sgc_diffusion.payload import LabelLayer, SemanticPayload
from sgc_diffusion.synthesis.likeness_image import save_likeness
from sgc_diffusion.synthesis.preview import preview
from sgc_diffusion.synthesis.provenance import GeneratedImage
from sgc_diffusion.synthesis.reduction import reduced_size

if TYPE_CHECKING:
    from sgc_diffusion.pipeline import SemanticCompressionPipeline

MAX_SIDE = 1024  # pixels of a visitor's picture; larger ones are reduced
EVERYTHING = "everything"
BUDGETS = ("40", "60", "80", "120", "200", "300", "600", "1000", "3000", "10000", EVERYTHING)  # bytes
NO_NETWORK, ONE_STEP, DIFFUSION = "no network", "network, 1 step", "network, more steps"
DECODERS = (NO_NETWORK, ONE_STEP, DIFFUSION)
MAX_STEPS, MAX_SEED = 50, 65535


@dataclass(frozen=True)
class Visit:
    """What one visitor works on; the app keeps it for the visitor and deletes its files with it.

    Attributes:
        original: the photograph, RGB.
        data: the `.sgc` file of it, as compressed or as painted on.
        num_layers: how many of its optional layers count.
        folder: of the files to download.
    """

    original: Image.Image
    data: bytes
    num_layers: int
    folder: tempfile.TemporaryDirectory = field(default_factory=tempfile.TemporaryDirectory, repr=False)

    @property
    def payload(self) -> SemanticPayload:
        """What the file says, up to where it is cut."""
        payload = bitstream.decode(self.data)
        return replace(payload, layers=payload.layers[: self.num_layers])

    @property
    def file(self) -> bytes:
        """The bytes of the file, cut."""
        kinds = [layer.kind for layer in bitstream.decode(self.data).layers]
        return bitstream.thin(self.data, drop=kinds[self.num_layers :])

    @property
    def layer_bytes(self) -> dict[str, int]:
        """Name of each part of the whole file → its bytes."""
        summary = bitstream.inspect(self.data)
        return {"header": summary.header_bytes, **summary.layer_bytes}


def compress(pipeline: SemanticCompressionPipeline, image: Image.Image | None, budget: str) -> Visit:
    """Compress a visitor's picture.

    Args:
        pipeline: that analyzes it.
        image: as uploaded.
        budget: one of `BUDGETS`.

    Raises:
        ValueError: no picture, or a budget that is too small for it; the message is for the visitor.
    """
    if image is None:
        raise ValueError("Drop a photograph first, or take the example")
    rgb = to_rgb(image)
    if max(rgb.size) > MAX_SIDE:
        rgb = rgb.resize(reduced_size(*rgb.size, MAX_SIDE), Image.Resampling.LANCZOS)
    options: dict[str, Any] = {"quality": 100} if budget == EVERYTHING else {"max_bytes": int(budget)}
    data = pipeline.compress(rgb, **options)
    return Visit(rgb, data, len(bitstream.decode(data).layers))


def cut(visit: Visit, num_layers: int) -> Visit:
    """Return the visit with the file cut after so many optional layers."""
    return replace(visit, num_layers=int(num_layers))


def show(visit: Visit) -> Image.Image:
    """Return what the file shows without a network, at once."""
    return preview(visit.payload, len(visit.file))


def draw(
    pipeline: SemanticCompressionPipeline,
    visit: Visit,
    decoder: str,
    num_steps: int,
    seed: int,
    tell: Callable[[int, int], None],
) -> Image.Image:
    """Draw the file.

    Args:
        pipeline: that draws.
        visit: whose file, cut where it is cut.
        decoder: one of `DECODERS`.
        num_steps: of the whole schedule, if there are more than one.
        seed: of the noise.
        tell: is told of each step: how many are done, of how many about.

    Raises:
        ValueError: as for `SemanticCompressionPipeline.decompress`.
    """
    if decoder == NO_NETWORK:
        return show(visit)
    import torch

    num_told = 0

    def after_step(*arguments: Any) -> dict[str, Any]:
        nonlocal num_told
        num_told += 1
        tell(num_told, max(num_told, num_steps if decoder == DIFFUSION else 2))
        return {}

    options: dict[str, Any] = {"preset": "fast"} if decoder == ONE_STEP else {"num_inference_steps": int(num_steps)}
    generator = torch.Generator("cpu").manual_seed(int(seed))
    return pipeline.decompress(visit.file, generator=generator, callback_on_step_end=after_step, **options).images[0]


def label_picture(payload: SemanticPayload) -> Image.Image:
    """Return the label map in its palette, in the shape of the picture, one color for each label exactly."""
    width, height = reduced_size(payload.width, payload.height, 512)
    colors = payload.labels.taxonomy.palette[payload.label_map]
    return Image.fromarray(colors).resize((width, height), Image.Resampling.NEAREST)


def paint(visit: Visit, painted: Image.Image) -> Visit:
    """Return the visit with the labels that were painted; detail of what was there before is left out.

    Args:
        visit: whose labels are changed.
        painted: a label picture with strokes in colors of the palette, of any size.

    Raises:
        ValueError: nothing was painted.
    """
    payload = bitstream.decode(visit.data)
    height, width = payload.label_map.shape
    before = np.asarray(label_picture(payload).resize((width, height), Image.Resampling.NEAREST)).astype(int)
    after = np.asarray(painted.convert("RGB").resize((width, height), Image.Resampling.NEAREST)).astype(int)
    palette = payload.labels.taxonomy.palette.astype(int)
    nearest = ((after[:, :, None] - palette) ** 2).sum(axis=-1).argmin(axis=-1)
    is_painted = np.abs(after - before).max(axis=-1) > 8  # more than what a lossy canvas changes
    label_map = np.where(is_painted, nearest, payload.label_map)
    if np.array_equal(label_map, payload.label_map):
        raise ValueError("Nothing is painted yet: choose a color below the map, whose name is in the list, and paint")
    labels = LabelLayer(label_map, payload.labels.taxonomy_name)
    data = bitstream.encode(replace(payload, labels=labels, layers=()))
    return replace(visit, data=data, num_layers=0)


def save_files(visit: Visit, picture: Image.Image) -> tuple[str, str]:
    """Write the cut file and a picture of it for download; return their paths."""
    file, image_path = Path(visit.folder.name, "picture.sgc"), Path(visit.folder.name, "picture.png")
    file.write_bytes(visit.file)
    if isinstance(picture, GeneratedImage):  # says so in its file
        picture.save(image_path)
    else:
        save_likeness(picture, image_path)
    return str(file), str(image_path)
