"""The segmenter of the label metrics: picture → label map, by any model of the ecosystem or a .tflite file.

"owner/name", folder, "torchvision/…:FILE" ──zoo.segmenters──▶ network ─┐
"….tflite" (1, H, W, 3) in [−1, 1] ──ai-edge-litert──▶ logits (1, h, w, K) ──┴──argmax──▶ (h, w) label map

A map's grid depends on the picture's size alone, so that the maps of a picture and of its decoded version agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sgc_diffusion.evaluation.metrics.registry import DEFAULT_SEGMENTER
from sgc_diffusion.features.weights import WeightsError

LOCAL_NAMES = ("segmenter", "segmenter.tflite", "deeplabv3_mobilenetv2_ade20k.tflite")  # looked for in --weights-dir
MAX_SIDE = 1024  # of a map; finer than that no segmenter is
PLAIN_SHORT_SIDE = 512  # of the input of a network that comes without a processor


class NetworkSegmenter:
    """A transformers or torchvision model.

    Args:
        name: as `zoo.segmenters.load_segmenter` takes it.
        device: to compute on.

    Attributes:
        name: where it came from, for the report.
        num_classes: K; ids are 0 … K − 1.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        from sgc_diffusion.zoo.segmenters import load_segmenter

        network, self._processor = load_segmenter(name)
        self._network: Any = network.to(device)
        self.name = name
        self.num_classes = int(self._network.config.num_labels)

    def label_map(self, picture: np.ndarray) -> np.ndarray:
        """Return the ids (h, w) of a picture (H, W, 3) uint8: at its size, or reduced to `MAX_SIDE`."""
        from sgc_diffusion.analysis.labels import segment_image

        image = Image.fromarray(picture)
        return segment_image(
            self._network, image, map_size(picture), short_side=PLAIN_SHORT_SIDE, image_processor=self._processor
        )


def map_size(picture: np.ndarray) -> tuple[int, int]:
    """Return rows and columns of the map of a picture (H, W, 3): its size, or that reduced to `MAX_SIDE`."""
    scale = min(1.0, MAX_SIDE / max(picture.shape[:2]))
    height, width = picture.shape[:2]
    return max(1, round(height * scale)), max(1, round(width * scale))


class TfliteSegmenter:
    """A network in a .tflite file, such as DeepLabV3-MobileNetV2 on ADE20K: 1×513×513×3 in, 1×513×513×151 out.

    Args:
        path: of the file. Its picture is stretched to the input's size, RGB in [−1, 1]; its map has the output's size.

    Attributes:
        name: of the file, for the report.
        num_classes: K; ids are 0 … K − 1.

    Raises:
        WeightsError: a network with another input or output.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(path), num_threads=1)  # files are measured in parallel
        self._interpreter.allocate_tensors()
        self._input, self._output = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        if len(self._input["shape"]) != 4 or len(self._output["shape"]) != 4 or self._input["dtype"] != np.float32:
            raise WeightsError(f"{path} is no segmenter of (1, H, W, 3) float32 pictures with (1, h, w, K) logits")
        self.name = path.name
        self.num_classes = int(self._output["shape"][3])

    def label_map(self, picture: np.ndarray) -> np.ndarray:
        """Return the ids (h, w) of a picture (H, W, 3) uint8, at the network's own output size."""
        rows, columns = (int(side) for side in self._input["shape"][1:3])
        resized = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR)
        self._interpreter.set_tensor(self._input["index"], np.asarray(resized, np.float32)[None] / 127.5 - 1)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output["index"])[0]
        return logits.argmax(axis=2).astype(np.min_scalar_type(self.num_classes - 1))


Segmenter = NetworkSegmenter | TfliteSegmenter


def open_segmenter(name: str | None, folder: Path | None, device: str = "cpu") -> Segmenter:
    """Load the segmenter of a name; without one, that of the folder of weights, else `DEFAULT_SEGMENTER`.

    Raises:
        ValueError: a .tflite file that is not there, or a model that does not segment.
        OSError: a model that cannot be reached.
        ImportError: a .tflite file, and ai-edge-litert is not installed.
    """
    if name is None:
        local = [folder / file for file in LOCAL_NAMES] if folder is not None else []
        name = next((str(path) for path in local if path.exists()), DEFAULT_SEGMENTER)
    if not name.endswith(".tflite"):
        return NetworkSegmenter(name, device)
    if not Path(name).is_file():
        raise ValueError(f"`segmenter` {name} is no file; give a .tflite file, a folder or a Hub id")
    return TfliteSegmenter(Path(name))
