"""Every family of segmenters from folder to label map: tiny networks of the real classes with random weights."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.analysis.grid import vote
from sgc_diffusion.analysis.labels import VOTES_PER_SIDE
from sgc_diffusion.taxonomy import load_taxonomy
from sgc_diffusion.zoo.segmenters import load_segmenter, segmenter_table

SQUARE = {"height": 64, "width": 64}


def swin():
    from transformers import SwinConfig

    return SwinConfig(
        image_size=64,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )


def build_segformer(labels, place):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

    config = SegformerConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        id2label=labels,
    )
    return SegformerForSemanticSegmentation(config), SegformerImageProcessor(size=SQUARE)


def build_mask2former(labels, place):
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    config = Mask2FormerConfig(
        backbone_config=swin(),
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
    return Mask2FormerForUniversalSegmentation(config), Mask2FormerImageProcessor(size=SQUARE, num_labels=len(labels))


def build_maskformer(labels, place):
    from transformers import DetrConfig, MaskFormerConfig, MaskFormerForInstanceSegmentation, MaskFormerImageProcessor

    decoder = DetrConfig(
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=5,
    )
    config = MaskFormerConfig(
        backbone_config=swin(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, id2label=labels
    )
    processor = MaskFormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 256})
    return MaskFormerForInstanceSegmentation(config), processor


def build_oneformer(labels, place):
    from transformers import (
        CLIPTokenizer,
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        OneFormerImageProcessor,
        OneFormerProcessor,
    )

    letters = [chr(code) for code in range(33, 127)]
    entries = letters + [f"{letter}</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (place / "vocab.json").write_text(json.dumps({entry: index for index, entry in enumerate(entries)}))
    (place / "merges.txt").write_text("#version: 0.2\n")
    (place / "classes.json").write_text(json.dumps({str(key): {"isthing": 0, "name": labels[key]} for key in labels}))
    config = OneFormerConfig(
        backbone_config=swin(),
        hidden_dim=32,
        mask_dim=32,
        conv_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=32,
        num_attention_heads=2,
        num_queries=5,
        text_encoder_width=32,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=len(entries),
        id2label=labels,
    )
    images = OneFormerImageProcessor(
        size=SQUARE, repo_path=str(place), class_info_file="classes.json", num_labels=len(labels)
    )
    tokenizer = CLIPTokenizer(str(place / "vocab.json"), str(place / "merges.txt"), model_max_length=77)
    return OneFormerForUniversalSegmentation(config), OneFormerProcessor(images, tokenizer)


def build_upernet(labels, place):
    from transformers import ConvNextConfig, SegformerImageProcessor, UperNetConfig, UperNetForSemanticSegmentation

    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=stages)
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=16, use_auxiliary_head=False, pool_scales=[1, 2], id2label=labels
    )
    return UperNetForSemanticSegmentation(config), SegformerImageProcessor(size=SQUARE)


TRANSFORMER = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def build_beit(labels, place):
    from transformers import BeitConfig, BeitForSemanticSegmentation, BeitImageProcessor

    config = BeitConfig(
        **TRANSFORMER, out_indices=[0, 1, 2, 3], pool_scales=[1, 2], auxiliary_channels=8, id2label=labels
    )
    processor = BeitImageProcessor(size=SQUARE, crop_size=SQUARE, do_center_crop=True, do_reduce_labels=True)
    return BeitForSemanticSegmentation(config), processor


def build_dpt(labels, place):
    from transformers import DPTConfig, DPTForSemanticSegmentation, DPTImageProcessor

    config = DPTConfig(
        **TRANSFORMER,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=16,
        id2label=labels,
    )
    return DPTForSemanticSegmentation(config), DPTImageProcessor(size=SQUARE)


FAMILIES = {
    "segformer": (build_segformer, "ade20k-150"),
    "mask2former": (build_mask2former, "mapillary-65"),
    "maskformer": (build_maskformer, "coco-stuff-182"),
    "oneformer": (build_oneformer, "cityscapes-19"),
    "upernet": (build_upernet, "coco-stuff-171"),
    "beit": (build_beit, "ade20k-150"),
    "dpt": (build_dpt, "voc-21"),
}


@pytest.fixture()
def family(request, tmp_path):
    """A model, its processor, and the folder that both were saved to."""
    build, taxonomy = FAMILIES[request.param]
    torch.manual_seed(1)
    model, processor = build(dict(enumerate(load_taxonomy(taxonomy).names)), tmp_path)
    for parameter in model.parameters():  # far from where training begins, where one label covers all
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path / "segmenter"
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor, folder


def scores_of(model, processor, image):
    """Return (K, h, w) scores as each family's paper has them: logits, or classes of queries times their masks."""
    arguments = {"images": image, "return_tensors": "pt"}
    if hasattr(processor, "tokenizer"):
        arguments["task_inputs"] = ["semantic"]
    if getattr(processor, "do_center_crop", False):
        arguments["do_center_crop"] = False
    with torch.no_grad():
        outputs = model(**processor(**arguments))
    if hasattr(outputs, "logits"):
        return outputs.logits[0]
    classes, masks = outputs.class_queries_logits[0].softmax(dim=-1)[:, :-1], outputs.masks_queries_logits
    if model.config.model_type == "mask2former":  # its authors compare masks at one size
        masks = functional.interpolate(masks, (384, 384), mode="bilinear", align_corners=False)
    return torch.einsum("qc,qhw->chw", classes, masks[0].sigmoid())


@pytest.mark.parametrize("family", FAMILIES, indirect=True)
def test_it_loads_by_its_type_segments_and_feeds_a_decoder_of_another_taxonomy(
    family, tiny_pipeline_folder, tmp_path, landscape
):
    model, processor, folder = family
    pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder, segmenter=folder)
    assert type(pipeline.segmenter) is type(model) and not pipeline.segmenter.training
    image = landscape(96, 64)
    payload = pipeline.analyze(image)
    assert payload.labels.taxonomy_name == "landscape-24"

    rows, columns = payload.label_map.shape
    scores = scores_of(model, processor, image)[None]
    size = (rows * VOTES_PER_SIDE, columns * VOTES_PER_SIDE)
    fine = functional.interpolate(scores, size, mode="bilinear", align_corners=False).argmax(dim=1)[0].numpy()
    wanted = vote(segmenter_table(model, "landscape-24")[fine], rows, columns)
    assert len(np.unique(wanted)) > 1
    assert np.array_equal(payload.label_map, wanted)

    pipeline.save_pretrained(tmp_path / "again")
    again = SemanticCompressionPipeline.from_pretrained(tmp_path / "again")
    assert type(again.image_processor) is type(pipeline.image_processor)
    assert np.array_equal(again.analyze(image).label_map, payload.label_map)


@pytest.mark.parametrize("family", ["oneformer"], indirect=True)
def test_oneformer_needs_no_file_of_another_repository(family):
    model, _, folder = family
    settings = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    settings |= {"repo_path": "shi-labs/oneformer_demo", "class_info_file": "cityscapes_panoptic.json"}
    (folder / "processor_config.json").unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))  # as published: a data set has the names
    loaded, processor = load_segmenter(str(folder))
    assert type(loaded) is type(model) and processor.image_processor.class_info_file is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", ["segformer", "mask2former", "oneformer"], indirect=True)
def test_half_precision_segments(family, dtype, tiny_pipeline_folder, landscape):
    load = SemanticCompressionPipeline.from_pretrained
    label_map = load(tiny_pipeline_folder, segmenter=family[2]).analyze(landscape(96, 64)).label_map
    pipeline = load(tiny_pipeline_folder, segmenter=family[2])
    pipeline.segmenter.to(dtype)
    found = pipeline.analyze(landscape(96, 64)).label_map
    assert (found == label_map).mean() > 0.75  # random networks often cannot decide between two labels
