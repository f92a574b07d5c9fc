import json

import numpy as np
import pytest

from sgc_diffusion.taxonomy import NUMBERS, Taxonomy, class_table, load_taxonomy, taxonomy_name


@pytest.mark.parametrize("name", NUMBERS)
def test_every_taxonomy_is_complete(name):
    label_set = load_taxonomy(name)
    expected = {
        "coco-stuff-182": 182,
        "ade20k-150": 150,
        "cityscapes-19": 19,
        "voc-21": 21,
        "coco-stuff-171": 171,
        "mapillary-65": 65,
        "general-54": 54,
    }
    assert label_set.num_classes == expected.get(name, label_set.num_classes)
    assert len(set(label_set.names)) >= label_set.num_classes - 1  # ADE20K has two screens
    assert label_set.palette.shape == (label_set.num_classes, 3)
    assert taxonomy_name(label_set.number) == name


def test_numbers_of_the_format_are_what_they_were():
    assert NUMBERS == {
        "landscape-24": 0,
        "landscape-8": 1,
        "coco-stuff-182": 2,
        "ade20k-150": 3,
        "cityscapes-19": 4,
        "voc-21": 5,
        "coco-stuff-171": 6,
        "mapillary-65": 7,
        "general-54": 8,
    }


@pytest.mark.parametrize("source", NUMBERS)
@pytest.mark.parametrize("target", ["landscape-24", "landscape-8", "coco-stuff-182", "ade20k-150"])
def test_every_class_merges_into_exactly_one(source, target):
    if source == "landscape-8" != target:
        with pytest.raises(ValueError, match="cannot be reached"):
            class_table(source, target)
        return
    for merged in load_taxonomy(source).maps.values():
        names = [name for group in merged.values() for name in group]
        assert sorted(names) == sorted(load_taxonomy(source).names)
    assert class_table(source, target).max() < load_taxonomy(target).num_classes


@pytest.mark.parametrize(
    ("source", "name", "target", "expected"),
    [
        ("coco-stuff-182", "sky-other", "landscape-24", "sky"),
        ("coco-stuff-182", "clouds", "landscape-8", "sky"),
        ("coco-stuff-182", "person", "landscape-24", "creature"),
        ("ade20k-150", "river", "landscape-24", "water"),
        ("ade20k-150", "palm", "landscape-8", "vegetation"),
        ("cityscapes-19", "terrain", "landscape-24", "grass"),
        ("coco-stuff-171", "sky-other", "coco-stuff-182", "sky-other"),
        ("coco-stuff-171", "river", "landscape-8", "water"),
        ("mapillary-65", "Vegetation", "ade20k-150", "tree"),
        ("mapillary-65", "Sky", "coco-stuff-182", "sky-other"),
        ("ade20k-150", "sky", "coco-stuff-182", "sky-other"),
        ("coco-stuff-182", "tree", "ade20k-150", "tree"),
        ("landscape-24", "waterfall", "coco-stuff-182", "river"),
        ("landscape-24", "waterfall", "ade20k-150", "waterfall"),
        ("ade20k-150", "bus", "general-54", "car"),
        ("coco-stuff-182", "zebra", "general-54", "animal"),
        ("cityscapes-19", "rider", "general-54", "person"),
        ("general-54", "person", "landscape-24", "creature"),
        ("general-54", "ceiling", "landscape-8", "other"),
    ],
)
def test_known_merges(source, name, target, expected):
    index = load_taxonomy(source).names.index(name)
    assert load_taxonomy(target).names[class_table(source, target)[index]] == expected


def test_unknown_names_and_numbers_are_refused():
    with pytest.raises(ValueError, match="landscape-24"):
        load_taxonomy("landscape-23")
    with pytest.raises(ValueError, match="update"):
        taxonomy_name(200)


def test_tables_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        class_table("ade20k-150", "landscape-24")[0] = 1
    assert json.dumps(np.asarray(class_table("landscape-24", "landscape-24")).tolist()) == json.dumps(list(range(24)))


def test_the_palette_of_ade20k_is_the_one_that_controlnets_know():
    """Colors of wall, building, sky, floor and tree, and of the last, in the benchmark's published color code."""
    palette = load_taxonomy("ade20k-150").palette
    assert palette[:5].tolist() == [[120, 120, 120], [180, 120, 120], [6, 230, 230], [80, 50, 50], [4, 200, 3]]
    assert palette[149].tolist() == [92, 0, 255]


def test_the_171_classes_are_the_182_without_those_that_no_picture_has():
    fewer, all_names = load_taxonomy("coco-stuff-171").names, load_taxonomy("coco-stuff-182").names
    left_out = [name for name in all_names if name not in fewer]
    assert len(left_out) == 11 and {"street sign", "hat", "blender"} < set(left_out)
    assert list(fewer) == [name for name in all_names if name in fewer]


@pytest.mark.parametrize(("num_classes", "is_valid"), [(0, False), (1, True), (256, True), (257, False)])
def test_ids_of_every_taxonomy_fit_a_byte(num_classes, is_valid):
    names, palette = tuple(f"class {index}" for index in range(num_classes)), np.zeros((num_classes, 3), np.uint8)
    if is_valid:
        assert Taxonomy("mine", names, palette, {}).num_classes == num_classes
    else:
        with pytest.raises(ValueError, match=f"`names` must be 1 to 256 class names, got {num_classes}"):
            Taxonomy("mine", names, palette, {})
