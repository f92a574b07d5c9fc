"""Models that find objects, from folder to masks: tiny networks of the real classes with random weights."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageDraw, ImageFont
from torchvision.ops import MultiScaleRoIAlign
from transformers import EomtConfig, EomtForUniversalSegmentation, EomtImageProcessor

from sgc_diffusion.zoo.object_models import find_by_mask_rcnn, find_objects, load_finder
from sgc_diffusion.zoo.saliency import load_saliency

_spec = importlib.util.spec_from_file_location("families", Path(__file__).parent / "test_segmenter_families.py")
families = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(families)
LABELS = dict(enumerate(("person", "boat", "sky", "tree")))
PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def build_eomt(labels, place):
    config = EomtConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_blocks=1,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        num_queries=5,
        num_upscale_blocks=1,
        id2label=labels,
    )
    return EomtForUniversalSegmentation(config), EomtImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 64}, do_pad=True
    )


@pytest.mark.parametrize("name", ["mask2former", "maskformer", "oneformer", "eomt"])
def test_objects_of_a_saved_model(name, tmp_path):
    torch.manual_seed(0)
    build = build_eomt if name == "eomt" else getattr(families, f"build_{name}")
    model, processor = build(LABELS, tmp_path)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    objects = load_finder(str(tmp_path))(PICTURE)
    for found in objects:
        assert found.mask.shape == (64, 96) and found.mask.dtype == bool and found.mask.any()
        assert found.name in LABELS.values() and 0 <= found.score <= 1


def test_segments_become_objects():
    class Processor:
        def __call__(self, images, return_tensors):
            return {}

        def post_process_panoptic_segmentation(self, outputs, threshold, target_sizes):
            segmentation = torch.zeros(target_sizes[0], dtype=torch.int64)
            segmentation[:9] = 7
            return [
                {
                    "segmentation": segmentation,
                    "segments_info": [
                        {"id": 7, "label_id": 1, "score": 0.8},
                        {"id": 9, "label_id": 2, "score": 0.9},
                    ],
                }
            ]

    class Model(torch.nn.Module):
        config = type("Config", (), {"model_type": "maskformer", "id2label": LABELS})

        def forward(self):
            return None

    (found,) = find_objects(Model(), Processor(), PICTURE)
    assert found.mask.sum() == 9 * 96 and (found.name, found.score) == ("boat", 0.8)


def test_saliency_of_a_saved_model(tmp_path):
    torch.manual_seed(0)
    for number in (1, 2):
        model, processor = families.build_segformer(dict(enumerate(("background", "object")[:number])), tmp_path)
        model.save_pretrained(tmp_path / str(number))
        processor.save_pretrained(tmp_path / str(number))
        saliency = load_saliency(str(tmp_path / str(number)))(PICTURE)
        assert saliency.shape == (64, 96) and 0 <= saliency.min() < saliency.max() <= 1


def test_what_finds_nothing_is_told(tmp_path):
    model, processor = families.build_segformer(LABELS, tmp_path)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="which finds no objects"):
        load_finder(str(tmp_path))
    with pytest.raises(ValueError, match="torchvision/yolo is not known"):
        load_finder("torchvision/yolo")
    with pytest.raises(ValueError, match="`region_model`"):
        load_finder(str(tmp_path / "nowhere"))


@pytest.mark.skipif(not torchvision.extension._has_ops(), reason="torchvision has no compiled operators here")
def test_objects_of_a_mask_rcnn():
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    torch.manual_seed(0)
    backbone = torch.nn.Conv2d(3, 8, 16, stride=16)
    backbone.out_channels = 8
    anchors = AnchorGenerator(((16, 32),), ((1.0,),))
    network = MaskRCNN(
        backbone, 2, 64, 96, rpn_anchor_generator=anchors, box_detections_per_img=5,
        **{f"{part}_roi_pool": MultiScaleRoIAlign(["0"], size, 2) for part, size in (("box", 7), ("mask", 14))},
    ).eval()  # fmt: skip
    objects = find_by_mask_rcnn(network, ("background", "boat"), PICTURE)
    assert all(each.mask.shape == (64, 96) and each.mask.any() for each in objects)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([-9.0, 9.0]))
    objects = find_by_mask_rcnn(network, ("background", "boat"), PICTURE)
    assert objects and {each.name for each in objects} == {"boat"} and min(each.score for each in objects) > 0.9
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([9.0, -9.0]))
    assert find_by_mask_rcnn(network, ("background", "boat"), PICTURE) == []


@pytest.mark.skipif(torchvision.extension._has_ops(), reason="torchvision has its compiled operators here")
def test_a_torchvision_without_operators_is_told():
    with pytest.raises(ImportError, match="compiled operators"):
        load_finder("torchvision/maskrcnn_resnet50_fpn")


def test_text_is_found_where_it_stands():
    pytest.importorskip("rapidocr")
    image = Image.new("RGB", (240, 100), (90, 140, 90))
    ImageDraw.Draw(image).text((30, 30), "HELLO", fill="white", font=ImageFont.load_default(36))
    (text,) = load_finder("rapidocr")(np.asarray(image))
    wanted = np.zeros((100, 240), bool)
    wanted[np.any(np.asarray(image) != (90, 140, 90), axis=-1)] = True
    assert text.name == "text" and text.mask[wanted].mean() > 0.9 and text.mask.mean() < 0.5
