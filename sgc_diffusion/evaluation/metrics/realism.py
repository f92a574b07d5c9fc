"""How real a picture looks, judged without the original: the paper's Ψ, by pyiqa.

pyiqa (https://github.com/chaofengc/IQA-PyTorch) is licensed for NON-COMMERCIAL use (PolyForm Noncommercial 1.0.0, parts
S-Lab 1.0), unlike this package: it is installed with the `eval` extra only and imported when one of these is asked for.

Networks are built without the ImageNet backbones that pyiqa fetches first: its published weights hold every tensor.
"""

from __future__ import annotations

import math
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sgc_diffusion.features.pixels import to_tensor
from sgc_diffusion.features.weights import WeightsError, fill, load_state, replaced


def load_musiq(path: Path) -> Any:
    """Return MUSIQ as trained on KonIQ-10k; scores about 0 … 100."""
    from pyiqa.archs import musiq_arch

    return fill(musiq_arch.MUSIQ(pretrained=False), load_state(path), path)


def load_hyperiqa(path: Path) -> Any:
    """Return HyperIQA as trained on KonIQ-10k; scores about 0 … 1."""
    import timm
    from pyiqa.archs import hypernet_arch

    def create_model(name: str, pretrained: bool, features_only: bool) -> Any:
        return timm.create_model(name, pretrained=False, features_only=features_only)

    with replaced(hypernet_arch, timm=SimpleNamespace(create_model=create_model)):
        network = hypernet_arch.HyperNet(pretrained=False)
    return fill(network, load_state(path), path)


def load_dbcnn(path: Path) -> Any:
    """Return DBCNN as trained on KonIQ-10k; scores about 0 … 1, which the SGC paper prints times 100."""
    import torchvision
    from pyiqa.archs import dbcnn_arch

    def vgg16(weights: str) -> Any:
        return SimpleNamespace(features=torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]))

    models = SimpleNamespace(models=SimpleNamespace(vgg16=vgg16))
    with replaced(dbcnn_arch, torchvision=models, load_pretrained_network=lambda network, path: None):
        network = dbcnn_arch.DBCNN(pretrained=False)
    return fill(network, load_state(path), path)


def load_clipiqa(path: Path) -> Any:
    """Return CLIP-IQA on CLIP's RN50, the file as OpenAI publishes it; scores 0 … 1."""
    from pyiqa.archs import clipiqa_arch

    try:
        return clipiqa_arch.CLIPIQA(backbone=str(path)).eval()
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} holds no weights of CLIP RN50: {str(error)[:300]}") from error


def load_niqe(path: Path) -> Any:
    """Return NIQE with the statistics of natural pictures: pyiqa's .mat file, or the .npz file of BasicSR."""
    import scipy.io
    from pyiqa.archs.niqe_arch import NIQE

    if path.suffix != ".npz":
        return NIQE(pretrained_model_path=str(path))
    with np.load(path) as statistics, tempfile.TemporaryDirectory() as folder:
        matrices = {"mu_prisparam": statistics["mu_pris_param"], "cov_prisparam": statistics["cov_pris_param"]}
        scipy.io.savemat(Path(folder) / "niqe.mat", matrices)
        return NIQE(pretrained_model_path=str(Path(folder) / "niqe.mat"))


LOADERS = {
    "musiq": load_musiq,
    "clipiqa": load_clipiqa,
    "hyperiqa": load_hyperiqa,
    "dbcnn": load_dbcnn,
    "niqe": load_niqe,
}


def load_realism(name: str, path: Path, device: str = "cpu") -> Callable[[np.ndarray], float]:
    """Return one of `LOADERS` as a measure of a picture.

    Args:
        name: key of `LOADERS`.
        path: of its weights.
        device: to compute on.

    Returns:
        A function: (H, W, 3) uint8 → score, NaN where it is undefined.

    Raises:
        WeightsError: a file of other weights.
        ImportError: pyiqa is not installed.
    """
    import torch

    network = LOADERS[name](path).to(device)

    @torch.no_grad()
    def measure(picture: np.ndarray) -> float:
        try:
            return float(network(to_tensor(picture, device)).squeeze())
        except torch.linalg.LinAlgError:  # NIQE fits a Gaussian to patches, which a flat picture has not
            return math.nan

    return measure
