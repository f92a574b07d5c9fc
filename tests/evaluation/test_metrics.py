"""What is offered, what is missing and how it is said, and the metrics of pixels against their formulas."""

import sys

import huggingface_hub
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from scipy.ndimage import correlate1d

from sgc_diffusion.evaluation.metrics import METRICS, load_metrics, segmenter
from sgc_diffusion.evaluation.metrics.distortion import block_ssim, gradient_magnitude, ms_ssim, psnr, si_ssim, ssim
from sgc_diffusion.features.grad_cam import load_grad_cam

PIXEL_METRICS = ("psnr", "ssim", "ms_ssim")
PACKAGED = (  # what needs no file of weights, because packages bring them
    *("textured_ratio", "calm_ratio", "sender_bce", "lite1_cosine", "lite1_top5", *PIXEL_METRICS, "cvvdp"),
    *("lite1_frechet", "lite1_frechet_excess", "texture_correlation"),
)


def pair(side=192, seed=0):
    """A picture with structure, and a version of it with less and with noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    original = np.clip(np.asarray(coarse) + rng.normal(0, 12, (side, side, 3)), 0, 255).astype(np.uint8)
    decoded = np.clip(np.asarray(coarse) * 0.9 + rng.normal(0, 4, (side, side, 3)), 0, 255).astype(np.uint8)
    return original, decoded


@pytest.fixture()
def nothing_cached(monkeypatch, tmp_path):
    """A machine without any weights and without a network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))  # `set_dir` could not be undone
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *name: None)
    monkeypatch.setattr(segmenter, "DEFAULT_SEGMENTER", "nobody/trained-this")
    return tmp_path


def test_every_missing_metric_is_listed_with_the_command_that_gets_it(nothing_cached):
    folder = nothing_cached / "weights"
    folder.mkdir()
    evaluator = load_metrics("all", weights_dir=folder)
    assert evaluator.available == PACKAGED and evaluator.segmenter == ""
    assert set(evaluator.unavailable) == set(METRICS) - set(PACKAGED)
    for name, text in evaluator.unavailable.items():
        if name.startswith("label"):
            assert "--segmenter" in text and "hf download openmmlab/upernet-convnext-small" in text
        elif "vgg" in name:
            assert "put vgg19_distilled_16x.safetensors" in text
        else:
            assert f"curl -L --create-dirs -o {folder}/" in text and "https://" in text, text
    values = evaluator.measure(*pair())
    assert tuple(values) == PACKAGED[:-3]
    evaluator.start_set()
    evaluator.add(*pair())
    assert evaluator.finish_set() == {}


def test_the_table_is_complete():
    for name, metric in METRICS.items():
        assert metric.name == name and metric.title and metric.source
        assert metric.direction in {"higher", "lower", "one"} and metric.reference in {"full", "none", "set"}
        assert (metric.group == "set") == (metric.reference == "set")
        assert bool(metric.weights) == (name not in PACKAGED)


def test_a_missing_package_is_named_with_the_extra(nothing_cached, monkeypatch):
    (nothing_cached / "musiq.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyiqa.archs", None)
    text = load_metrics(["musiq"], weights_dir=nothing_cached).unavailable["musiq"]
    assert "pip install 'sgc-diffusion[eval]'" in text
    (nothing_cached / "segmenter.tflite").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    text = load_metrics(["label_bce"], weights_dir=nothing_cached).unavailable["label_bce"]
    assert text.endswith("pip install ai-edge-litert")


def test_wrong_arguments_are_refused(nothing_cached):
    with pytest.raises(ValueError, match="unknown metrics vmaf; known are musiq"):
        load_metrics(["psnr", "vmaf"])
    with pytest.raises(ValueError, match=r"`weights_dir` .* is no folder"):
        load_metrics("psnr", weights_dir=nothing_cached / "nowhere")
    evaluator, (original, decoded) = load_metrics("psnr"), pair(16)
    with pytest.raises(ValueError, match="`decoded` must have the original's shape"):
        evaluator.measure(original, decoded[:8])
    with pytest.raises(ValueError, match="`original` must be uint8"):
        evaluator.measure(original / 255, decoded)
    unavailable = load_metrics(["label_bce"], segmenter="gone.tflite").unavailable["label_bce"]
    assert "gone.tflite is no file" in unavailable


def test_a_small_picture_lacks_the_metrics_that_need_a_larger_one():
    original, decoded = pair(8)
    evaluator = load_metrics(["si_ssim", *PIXEL_METRICS], importance=lambda picture: np.ones(picture.shape[:2]))
    assert set(evaluator.measure(original, decoded)) == {"psnr", "si_ssim"}
    assert set(evaluator.measure(*pair(40))) == {"psnr", "ssim", "si_ssim"}
    assert evaluator.measure(None, decoded) == {}


def test_psnr_is_that_of_the_formula():
    original, decoded = pair(40)
    error = ((original.astype(float) - decoded) ** 2).mean()
    assert psnr(original, decoded) == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
    assert psnr(original, original) == 100


def filtered(image):
    """The 11-tap Gaussian mean of each place where the window lies inside."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    for axis in (0, 1):
        image = correlate1d(image, taps / taps.sum(), axis=axis)
    return image[5:-5, 5:-5]


def ssim_parts(x, y):
    """SSIM and its contrast–structure part, by Wang's formula, mean over places of one channel."""
    mean_x, mean_y = filtered(x), filtered(y)
    var_x, var_y = filtered(x * x) - mean_x**2, filtered(y * y) - mean_y**2
    contrast = (2 * (filtered(x * y) - mean_x * mean_y) + 58.5225) / (var_x + var_y + 58.5225)
    luminance = (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)
    return (luminance * contrast).mean(), contrast.mean()


def test_ssim_is_that_of_the_formula():
    original, decoded = (one.astype(float) for one in pair(48))
    wanted = np.mean([ssim_parts(original[..., c], decoded[..., c])[0] for c in range(3)])
    assert ssim(*pair(48)) == pytest.approx(wanted, abs=2e-5)


def test_ms_ssim_is_the_product_over_scales():
    original, decoded = (one.astype(float) for one in pair(192))
    values = np.ones(3)
    for scale, power in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        parts = np.array([ssim_parts(original[..., c], decoded[..., c]) for c in range(3)])
        values *= parts[:, 0 if scale == 4 else 1] ** power
        half = original.shape[0] // 2
        original, decoded = (one.reshape(half, 2, half, 2, 3).mean(axis=(1, 3)) for one in (original, decoded))
    assert ms_ssim(*pair(192)) == pytest.approx(values.mean(), abs=2e-5)


def test_ms_ssim_of_a_negative_is_zero():
    original, _ = pair(192)
    assert ms_ssim(original, 255 - original) == 0


def test_the_gradient_of_a_ramp_is_its_slope():
    columns, rows = np.meshgrid(3 * np.arange(20), 4 * np.arange(20))
    ramp = Image.fromarray((columns + rows).astype(np.uint8))
    assert gradient_magnitude(ramp) == gradient_magnitude(ramp.convert("RGB")) == 5
    assert gradient_magnitude(Image.new("RGB", (9, 9), "teal")) == 0


def test_si_ssim_of_a_constant_importance_is_the_mean_block_ssim():
    original, decoded = pair(43)  # three rows and columns fill no block
    wanted = []
    for top, left, channel in np.ndindex(5, 5, 3):
        block = np.s_[8 * top : 8 * top + 8, 8 * left : 8 * left + 8, channel]
        x, y = original[block].astype(float), decoded[block].astype(float)
        covariance = ((x - x.mean()) * (y - y.mean())).mean()
        luminance = (2 * x.mean() * y.mean() + 6.5025) / (x.mean() ** 2 + y.mean() ** 2 + 6.5025)
        wanted.append(luminance * (2 * covariance + 58.5225) / (x.var() + y.var() + 58.5225))
    assert si_ssim(original, decoded, np.full((43, 43), 0.3)) == pytest.approx(np.mean(wanted))
    assert si_ssim(original, decoded, np.zeros((43, 43))) == pytest.approx(np.mean(wanted))
    one_block = np.zeros((43, 43))
    one_block[17, 9] = 2
    assert si_ssim(original, decoded, one_block) == pytest.approx(np.mean(wanted[3 * 11 : 3 * 12]))
    assert block_ssim(original, original).min() == pytest.approx(1)
    with pytest.raises(ValueError, match="`importance` must be"):
        si_ssim(original, decoded, -one_block)


class TinyClassifier(torch.nn.Module):
    """Two feature maps and two classes, in the place of VGG16."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.Identity())
        self.avgpool = torch.nn.AdaptiveAvgPool2d(1)
        self.classifier = torch.nn.Linear(2, 2)

    def forward(self, pixels):
        return self.classifier(self.avgpool(self.features(pixels)).flatten(1))


def test_si_ssim_weighs_by_grad_cam_of_the_original(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.models, "vgg16", TinyClassifier)
    torch.manual_seed(0)
    torch.save(TinyClassifier().state_dict(), tmp_path / "vgg16.pth")
    evaluator = load_metrics(["si_ssim"], weights_dir=tmp_path)
    original, decoded = pair(224)
    expected = si_ssim(original, decoded, load_grad_cam(tmp_path / "vgg16.pth")(original))
    assert evaluator.measure(original, decoded) == {"si_ssim": pytest.approx(expected)}
