"""What segmenters call their labels, as model cards write it, and what cannot be one."""

import numpy as np
import pytest

from sgc_diffusion import ColorLayer, LabelLayer, SemanticPayload, decode, encode
from sgc_diffusion.analysis.labels import segment_images
from sgc_diffusion.taxonomy import NUMBERS, class_table, load_taxonomy
from sgc_diffusion.taxonomy.matching import match_labels
from sgc_diffusion.zoo.segmenters import load_segmenter, segmenter_table


def test_a_model_that_does_not_segment_is_refused(tmp_path):
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)).save_pretrained(
        tmp_path
    )
    with pytest.raises(ValueError, match="is a vit model, of which no label map is read here; give a Mask2Former"):
        load_segmenter(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="is no transformers model"):
        load_segmenter(str(tmp_path))
    for name in ("./nowhere", "", "segformer"):
        with pytest.raises(ValueError, match=f"`segmenter` '{name}' is no folder here and no Hub id"):
            load_segmenter(name)


def build_mobilenet(num_labels=21):
    from transformers import MobileNetV2Config, MobileNetV2ForSemanticSegmentation, MobileNetV2ImageProcessor

    config = MobileNetV2Config(depth_multiplier=0.1, image_size=64, num_labels=num_labels, output_stride=8)
    processor = MobileNetV2ImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    return MobileNetV2ForSemanticSegmentation(config).eval(), processor


def test_a_folder_without_processor_or_with_other_weights_is_named(tmp_path):
    model, processor = build_mobilenet()
    model.save_pretrained(tmp_path)
    with pytest.raises(OSError, match=r"has no image processor \(preprocessor_config\.json\)"):
        load_segmenter(str(tmp_path))
    processor.save_pretrained(tmp_path)
    assert type(load_segmenter(str(tmp_path))[1]) is type(processor)
    build_mobilenet(7)[0].config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"its weights are damaged or do not fit its config\.json"):
        load_segmenter(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="its weights are damaged"):
        load_segmenter(str(tmp_path))


@pytest.mark.parametrize("size", [(1, 3000), (3000, 2)])
def test_a_picture_one_pixel_wide_does_not_fill_the_memory(size, landscape):
    model, processor = build_mobilenet()
    shapes = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append(kwargs["pixel_values"].shape), with_kwargs=True
    )
    (label_map,) = segment_images(model, [landscape(*size)], short_side=64, image_processor=processor)
    assert max(shapes[0][2:]) <= 4 * 64 and min(label_map.shape) == 1


@pytest.mark.parametrize("taxonomy", [name for name in NUMBERS if not name.startswith("landscape")])
def test_names_of_every_label_set_are_found(taxonomy):
    names = load_taxonomy(taxonomy).names
    spelled = tuple(f"{name.replace(' ', '_').capitalize()}, something else" for name in names)
    for written in (names, spelled):
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


def test_the_names_of_coco_panoptic_are_all_known():
    things = load_taxonomy("coco-stuff-171").names[:80]
    merged = "tree fence ceiling sky-other cabinet table floor-other pavement mountain grass dirt paper food-other"
    merged = [f"{name}-merged" for name in [*merged.split(), "building-other", "rock", "wall-other", "rug"]]
    taxonomy, ids = match_labels((*things, "banner", "door-stuff", "floor-wood", "window-blind", *merged))
    names = load_taxonomy(taxonomy).names
    assert taxonomy == "coco-stuff-182" and len(set(ids)) == len(ids) == 101
    assert [names[index] for index in ids[:80]] == list(things)
    assert names[ids[86]] == "ceiling-other"


SKY_ROAD_CAR = {
    "coco-stuff-182": ("sky-other", "road", "car"),
    "coco-stuff-171": ("sky-other", "road", "car"),
    "ade20k-150": ("sky", "road", "car"),
    "cityscapes-19": ("sky", "road", "car"),
    "mapillary-65": ("Sky", "Road", "Car"),
    "voc-21": (None, None, "car"),
    "landscape-24": ("sky", "road", "object"),
}


@pytest.mark.parametrize("target", ["coco-stuff-182", "ade20k-150", "landscape-24"])
@pytest.mark.parametrize("source", [name for name in SKY_ROAD_CAR if name != "landscape-24"])
def test_every_label_set_feeds_every_decoder(source, target):
    table = class_table(source, target)
    known, wanted = load_taxonomy(source).names, load_taxonomy(target).names
    for name, meant in zip(SKY_ROAD_CAR[source], SKY_ROAD_CAR[target], strict=True):
        if name is not None:
            assert wanted[table[known.index(name)]] == meant


def test_ids_without_a_name_are_told():
    model, _ = build_mobilenet()
    model.config.id2label = {index + 1: name for index, name in enumerate(load_taxonomy("voc-21").names)}
    with pytest.raises(ValueError, match="names none of id 0"):
        segmenter_table(model, "voc-21")


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


@pytest.mark.parametrize("taxonomy", ["coco-stuff-171", "mapillary-65"])
def test_maps_of_the_new_label_sets_are_coded(taxonomy):
    label_map = np.arange(64, dtype=np.uint8).reshape(8, 8)
    color = ColorLayer.from_color_map(np.full((4, 4, 3), 90, np.uint8), 16)
    payload = SemanticPayload(width=64, height=64, labels=LabelLayer(label_map, taxonomy), color=color)
    assert decode(encode(payload)) == payload
