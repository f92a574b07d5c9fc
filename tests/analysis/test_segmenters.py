"""Segmenters of the ecosystem: tiny networks of the real classes, with the label names that model cards have."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sgc_diffusion import ColorLayer, LabelLayer, SemanticPayload, decode, encode
from sgc_diffusion.analysis.segmentation import segment_images
from sgc_diffusion.analysis.segmenters import load_image_processor, load_segmenter, match_labels, segmenter_table
from sgc_diffusion.analysis.torchvision_segmenters import TorchvisionSegmenter, load_deeplab
from sgc_diffusion.taxonomy import NUMBERS, load_taxonomy


def named(taxonomy):
    return dict(enumerate(load_taxonomy(taxonomy).names))


def build_segformer(labels):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=labels,
    )
    processor = SegformerImageProcessor(size={"height": 64, "width": 64})
    return SegformerForSemanticSegmentation(config), processor


def build_mask2former(labels):
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    backbone = SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=5,
        id2label=labels,
    )
    processor = Mask2FormerImageProcessor(size={"height": 64, "width": 64}, num_labels=len(labels))
    return Mask2FormerForUniversalSegmentation(config), processor


def build_upernet(labels):
    from transformers import ConvNextConfig, SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=stages)
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=16, use_auxiliary_head=False, pool_scales=[1, 2], id2label=labels
    )
    return UperNetForSemanticSegmentation(config), SegformerImageProcessor(size={"height": 64, "width": 64})


BUILDERS = {
    "segformer": (build_segformer, "ade20k-150"),
    "mask2former": (build_mask2former, "mapillary-65"),
    "upernet": (build_upernet, "coco-stuff-171"),
}


@pytest.mark.parametrize("kind", BUILDERS)
def test_every_family_loads_by_its_type_and_segments(kind, tmp_path, landscape):
    torch.manual_seed(0)
    build, taxonomy = BUILDERS[kind]
    model, processor = build(named(taxonomy))
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, loaded_processor = load_segmenter(str(tmp_path))
    assert type(loaded) is type(model) and not loaded.training
    assert type(load_image_processor(tmp_path)) is type(loaded_processor)
    table = segmenter_table(loaded, "coco-stuff-182")
    image = landscape(96, 64)
    (label_map,) = segment_images(
        loaded, [image], short_side=0, num_cells=24, image_processor=loaded_processor, class_ids=table
    )
    assert label_map.shape == (4, 6) and label_map.dtype == np.uint8
    assert set(label_map.ravel()) <= set(table)
    if kind == "segformer":
        with torch.no_grad():
            logits = loaded(**loaded_processor(image, return_tensors="pt")).logits
        fine = torch.nn.functional.interpolate(logits, (16, 24), mode="bilinear").argmax(1)[0].numpy()
        wanted = np.array(
            [[np.bincount(table[fine[4 * y :, 4 * x :][:4, :4]].ravel()).argmax() for x in range(6)] for y in range(4)]
        )
        assert np.array_equal(label_map, wanted)


def test_a_model_that_does_not_segment_is_refused(tmp_path):
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)).save_pretrained(
        tmp_path
    )
    with pytest.raises(ValueError, match="is a vit model, which does not segment"):
        load_segmenter(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="is no transformers model"):
        load_segmenter(str(tmp_path))


@pytest.mark.parametrize("taxonomy", [name for name in NUMBERS if not name.startswith("landscape")])
def test_names_of_every_label_set_are_found(taxonomy):
    names = load_taxonomy(taxonomy).names
    spelt = tuple(f"{name.replace(' ', '_').capitalize()}, something else" for name in names)
    for written in (names, spelt):
        found, ids = match_labels(written)
        assert found == taxonomy and np.array_equal(ids, np.arange(len(names)))


def test_the_names_of_model_cards_are_understood():
    ade = list(load_taxonomy("ade20k-150").names)
    for name, written in {"bathtub": "tub", "railing": "rail", "swimming pool": "pool", "apparel": "clothes"}.items():
        ade[ade.index(name)] = written  # as in OneFormer's and Mask2Former's configurations
    assert match_labels(tuple(ade))[0] == "ade20k-150"
    panoptic = ("person", "banner", "tree-merged", "sky-other-merged", "wall-other-merged", "floor-other-merged", "sea")
    taxonomy, ids = match_labels(panoptic)
    names = load_taxonomy(taxonomy).names
    assert taxonomy == "coco-stuff-182"
    assert [names[index] for index in ids] == [
        "person",
        "banner",
        "tree",
        "sky-other",
        "wall-other",
        "floor-other",
        "sea",
    ]


def test_unknown_names_are_listed():
    names = ("person", "sky-other", "tumour", "stroma")
    with pytest.raises(ValueError, match=r"lacks tumour, stroma; set the model's config\.id2label"):
        match_labels(names)


def test_labels_without_names_must_be_as_many_as_the_taxonomy_has():
    config = type("Config", (), {"num_labels": 24, "id2label": {index: f"LABEL_{index}" for index in range(24)}})
    segmenter = type("Segmenter", (), {"config": config})
    assert np.array_equal(segmenter_table(segmenter, "landscape-24"), np.arange(24))
    with pytest.raises(ValueError, match="`segmenter` knows 24 classes without names"):
        segmenter_table(segmenter, "ade20k-150")


class ChannelNetwork(torch.nn.Module):
    """Returns its input as the logits of three of 21 classes."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        return {"out": torch.cat([pixels * self.scale, pixels.new_full((1, 18, *pixels.shape[2:]), -9)], dim=1)}


def test_a_torchvision_network_sees_imagenet_normalisation():
    segmenter = TorchvisionSegmenter(ChannelNetwork(), "voc-21")
    white = segmenter(torch.ones(1, 3, 4, 4)).logits[0, :3, 0, 0]
    assert torch.allclose(white, torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))
    table = segmenter_table(segmenter, "landscape-24")
    assert load_taxonomy("landscape-24").names[table[15]] == "creature"
    with pytest.raises(ValueError, match="torchvision/unet is not known"):
        load_deeplab("unet")


@pytest.mark.parametrize("taxonomy", ["coco-stuff-171", "mapillary-65"])
def test_maps_of_the_new_label_sets_are_coded(taxonomy):
    label_map = np.arange(64, dtype=np.uint8).reshape(8, 8)
    color = ColorLayer.from_color_map(np.full((4, 4, 3), 90, np.uint8), 16)
    payload = SemanticPayload(width=64, height=64, labels=LabelLayer(label_map, taxonomy), color=color)
    assert decode(encode(payload)) == payload


def test_a_torchvision_that_does_not_fit_the_torch_can_be_imported(tmp_path):
    """A package that fails as torchvision's CUDA wheel does beside a CPU torch is imported after the hook."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "_C.so").write_bytes(b"linked to what is not there")
    (package / "__init__.py").write_text(
        'import torch\ntorch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets)\n'
    )
    code = (
        "import sys\n"
        "try:\n    import torchvision\nexcept RuntimeError as error:\n    assert 'nms' in str(error), error\n"
        "else:\n    sys.exit('imported without the hook')\n"
        "sys.modules.pop('torchvision', None)\n"
        "from sgc_diffusion.torchvision_hook import install_hook\n"
        "install_hook()\ninstall_hook()\n"
        "import torchvision, torch\n"
        "assert not [one for one in sys.meta_path if type(one).__name__ == '_TorchvisionFinder']\n"
    )
    environment = {**__import__("os").environ}
    environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if torch.version.cuda is None:
        assert done.returncode == 0, done.stderr
