"""Networks of random weights, written to files as published ones are, against independent implementations."""

import inspect
from types import SimpleNamespace

import lpips
import numpy as np
import open_clip
import pyiqa
import pytest
import scipy.io
import timm
import torch
import torchmetrics.functional.image.dists as torchmetrics_dists
from pyiqa.archs import clip_imports, clip_model, dists_arch, hypernet_arch, musiq_arch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import vgg

from sgc_diffusion.evaluation.metrics import load_metrics, semantic

PICTURES = [np.random.default_rng(seed).integers(0, 256, (64, 80, 3), np.uint8) for seed in (0, 1)]


def tensor(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


def measured(name, folder, pictures=PICTURES):
    """The value of one metric with the weights of a folder, which must not depend on torch's random numbers."""
    values = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        evaluator = load_metrics([name], weights_dir=folder)
        assert evaluator.unavailable == {}
        values.append(evaluator.measure(*pictures)[name])
    assert values[0] == values[1]
    return values[0]


def assert_misfit_is_reported(name, path):
    """One tensor less, or another file altogether, and the metric is unavailable."""
    state = torch.load(path, weights_only=True)
    inner = state.get("params", state)
    inner.pop(next(iter(inner)))
    torch.save(state, path)
    text = load_metrics([name], weights_dir=path.parent).unavailable[name]
    assert str(path) in text and "holds no weights of" in text, text
    path.write_bytes(b"not found")
    text = load_metrics([name], weights_dir=path.parent).unavailable[name]
    assert str(path) in text and ("cannot be read" in text or "holds no weights" in text), text


def shrink(monkeypatch, network, **sizes):
    """Give a network's constructor other defaults, so that the one of the real class is small."""
    options = list(inspect.signature(network.__init__).parameters.values())[1:]
    defaults = tuple(sizes.get(option.name, option.default) for option in options)
    monkeypatch.setattr(network.__init__, "__defaults__", defaults)


@pytest.fixture(autouse=True)
def random_weights():
    torch.manual_seed(0)


def test_musiq(tmp_path, monkeypatch):
    shrink(monkeypatch, musiq_arch.MUSIQ, hidden_size=24, mlp_dim=48, num_heads=2, num_layers=2)
    path = tmp_path / "musiq_koniq_ckpt-e95806b9.pth"
    torch.save(musiq_arch.MUSIQ(pretrained=False).state_dict(), path)
    wanted = pyiqa.create_metric("musiq", pretrained_model_path=str(path), device="cpu")(tensor(PICTURES[1]))
    assert measured("musiq", tmp_path) == pytest.approx(float(wanted), abs=1e-5)
    assert_misfit_is_reported("musiq", path)


def test_hyperiqa(tmp_path, monkeypatch):
    create_model = timm.create_model
    shrink(monkeypatch, hypernet_arch.HyperNet, num_crop=1)
    with monkeypatch.context() as context:
        context.setattr(timm, "create_model", lambda name, pretrained, **options: create_model(name, **options))
        network = hypernet_arch.HyperNet(pretrained=False).eval()
    torch.save({"params": network.state_dict()}, tmp_path / "hyperiqa.pth")
    with torch.no_grad():
        wanted = float(network(tensor(PICTURES[1])))
    assert measured("hyperiqa", tmp_path) == pytest.approx(wanted, abs=1e-5)
    assert_misfit_is_reported("hyperiqa", tmp_path / "hyperiqa.pth")


def test_dbcnn(tmp_path):
    from pyiqa.archs.dbcnn_arch import SCNN

    content = vgg.make_layers(vgg.cfgs["D"])[:-1].eval()
    distortion, head = SCNN().features.eval(), nn.Linear(512 * 128, 1)
    parts = {"features1": content, "features2": distortion, "fc": head}
    state = {f"{part}.{key}": value for part, one in parts.items() for key, value in one.state_dict().items()}
    torch.save({"params": state}, tmp_path / "dbcnn.pth")
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        pixels = (tensor(PICTURES[1]) - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
        first, second = content(pixels), distortion(pixels)
        second = nn.functional.interpolate(second, first.shape[2:], mode="bilinear", align_corners=True)
        bilinear = torch.einsum("bchw,bdhw->bcd", first, second).flatten(1) / first[0, 0].numel()
        wanted = head(nn.functional.normalize((bilinear + 1e-8).sqrt()))
    assert measured("dbcnn", tmp_path) == pytest.approx(float(wanted), abs=1e-5)
    assert_misfit_is_reported("dbcnn", tmp_path / "dbcnn.pth")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_clipiqa(tmp_path):
    network = clip_model.CLIP(16, 64, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 1).eval()
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()  # the published file is in half precision
    words = clip_imports.clip.tokenize(["Good image"])
    torch.jit.trace(network, (tensor(PICTURES[1]), words), check_trace=False).save(tmp_path / "RN50.pt")
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    words = [("Good image", "bad image"), ("Sharp image", "blurry image"), ("sharp edges", "blurry edges"),
             ("High resolution image", "low resolution image"), ("Noise-free image", "noisy image")]  # fmt: skip
    with torch.no_grad():
        seen = network.encode_image((tensor(PICTURES[1]) - mean) / deviation, pos_embedding=False)
        chances = []
        for pair in words:
            meant = network.encode_text(clip_imports.clip.tokenize(pair))
            cosines = nn.functional.normalize(seen) @ nn.functional.normalize(meant).T
            chances.append((network.logit_scale.exp() * cosines).softmax(dim=-1)[0, 0])
    assert measured("clipiqa", tmp_path) == pytest.approx(float(torch.stack(chances).mean()), abs=1e-5)
    (tmp_path / "RN50.pt").write_bytes(b"not found")
    assert "holds no weights of CLIP RN50" in load_metrics(["clipiqa"], weights_dir=tmp_path).unavailable["clipiqa"]


@pytest.mark.parametrize("suffix", ["mat", "npz"])
def test_niqe(tmp_path, suffix):
    rng = np.random.default_rng(0)
    mean, root = rng.random((1, 36)), rng.random((36, 36))
    matrices = {"mu_prisparam": mean, "cov_prisparam": root @ root.T}
    scipy.io.savemat(tmp_path / "reference.mat", matrices)
    if suffix == "mat":
        scipy.io.savemat(tmp_path / "niqe_modelparameters.mat", matrices)
    else:
        np.savez(tmp_path / "niqe_pris_params.npz", mu_pris_param=mean, cov_pris_param=root @ root.T)
    picture = rng.integers(0, 256, (192, 200, 3), np.uint8)
    network = pyiqa.create_metric("niqe", pretrained_model_path=str(tmp_path / "reference.mat"), device="cpu")
    value = measured("niqe", tmp_path, (None, picture))
    assert value == pytest.approx(float(network(tensor(picture))))
    evaluator = load_metrics(["niqe"], weights_dir=tmp_path)
    assert evaluator.measure(None, picture[:100]) == {}
    assert evaluator.measure(None, np.full_like(picture, 90)) == {}  # undefined for what is flat


def test_lpips(tmp_path):
    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    slices = [getattr(reference.net, f"slice{index}") for index in range(1, 6)]
    state = {f"features.{key}": value for one in slices for key, value in one.state_dict().items()}
    torch.save({**state, "classifier.1.weight": torch.zeros(1)}, tmp_path / "alexnet-owt-7be5be79.pth")
    with torch.no_grad():
        wanted = float(reference(tensor(PICTURES[1]), tensor(PICTURES[0]), normalize=True))
    assert wanted > 0 and measured("lpips", tmp_path) == pytest.approx(wanted, rel=1e-4)
    assert_misfit_is_reported("lpips", tmp_path / "alexnet-owt-7be5be79.pth")


def test_dists(tmp_path, monkeypatch):
    backbone = vgg.make_layers(vgg.cfgs["D"])
    torch.save({f"features.{key}": value for key, value in backbone.state_dict().items()}, tmp_path / "vgg16.pth")
    monkeypatch.setattr(dists_arch, "models", SimpleNamespace(vgg16=lambda weights: SimpleNamespace(features=backbone)))
    reference = dists_arch.DISTS(pretrained=False)
    learned = torch.load(torchmetrics_dists._PATH_WEIGHT_DISTS, weights_only=True)
    reference.alpha.data, reference.beta.data = learned["alpha"], learned["beta"]
    with torch.no_grad():
        wanted = float(reference(tensor(PICTURES[1]), tensor(PICTURES[0])))
    assert wanted > 0 and measured("dists", tmp_path) == pytest.approx(wanted, rel=1e-4)
    assert_misfit_is_reported("dists", tmp_path / "vgg16.pth")


def test_vgg_distance(tmp_path, small_vgg19):
    groups, state = small_vgg19()
    save_file(state, tmp_path / "vgg19_distilled_16x.safetensors")
    first, second, distances = tensor(PICTURES[0]), tensor(PICTURES[1]), []
    with torch.no_grad():
        for group in groups:
            first, second = group(first), group(second)
            ours, theirs = first / first.norm(dim=1, keepdim=True), second / second.norm(dim=1, keepdim=True)
            distances.append((ours.nan_to_num() - theirs.nan_to_num()).square().sum(dim=1).mean())
    value = measured("vgg_distance", tmp_path)
    assert 0 < value < 2 and value == pytest.approx(float(torch.stack(distances).mean()), rel=1e-4)
    assert measured("vgg_distance", tmp_path, PICTURES[:1] * 2) == 0
    save_file(
        {key: value for key, value in state.items() if "conv34" not in key},
        tmp_path / "vgg19_distilled_16x.safetensors",
    )
    text = load_metrics(["vgg_distance"], weights_dir=tmp_path).unavailable["vgg_distance"]
    assert "conv34.weight is missing" in text


TINY_CLIP = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 100, "width": 64, "heads": 1, "layers": 1},
}


@pytest.mark.parametrize("name", ["ViT-L-14.pt", "ViT-L-14.safetensors"])
def test_clip_similarity(tmp_path, monkeypatch, name):
    network = open_clip.CLIP(**TINY_CLIP).eval()
    state = {key: value.contiguous() for key, value in network.state_dict().items() if key != "attn_mask"}
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, semantic.CLIP_MODEL, TINY_CLIP)
    text = load_metrics(["clip_similarity"], weights_dir=tmp_path).unavailable["clip_similarity"]
    assert "is no CLIP ViT-L/14: its embeddings have 32 numbers" in text
    monkeypatch.setattr(semantic, "CLIP_EMBEDDING_SIZE", 32)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    with torch.no_grad():
        one, other = (network.encode_image((tensor(one[:, 8:-8]) - mean) / deviation)[0] for one in PICTURES)
    wanted = float(one @ other / one.norm() / other.norm())
    assert measured("clip_similarity", tmp_path) == pytest.approx(wanted, abs=1e-5)
    assert measured("clip_similarity", tmp_path, PICTURES[:1] * 2) == pytest.approx(1)
