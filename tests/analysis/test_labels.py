"""Ids of segmenters with many classes: never cut to a byte, mapped or refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from PIL import Image
from torch import nn

from sgc_diffusion.analysis.labels import computing_device, segment_image, segment_images

GRAY = Image.new("RGB", (16, 16), "gray")


class OneLabel(nn.Module):
    """Gives every part of a picture the same of many labels; a real network of one layer.

    Its `config` names `num_named` labels.
    """

    def __init__(self, label, num_classes, num_named=None):
        super().__init__()
        self.head = nn.Conv2d(3, num_classes, 1)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias[:] = torch.arange(num_classes) == label
        self.config = SimpleNamespace(num_labels=num_named or num_classes)

    def forward(self, pixels):
        return SimpleNamespace(logits=self.head(pixels))


def test_label_300_is_not_label_44():
    for label, dtype in ((300, np.uint16), (44, np.uint8), (255, np.uint8), (256, np.uint16)):
        ids = segment_image(OneLabel(label, 600), GRAY, (4, 4), short_side=32)
        assert (ids == label).all() and ids.dtype == dtype


@pytest.mark.parametrize("label", [300, 44])
def test_more_classes_than_a_map_tells_apart_are_refused_by_their_number(label):
    with pytest.raises(ValueError, match="`segmenter` has 600 classes, but a label map tells at most 256 apart"):
        segment_images(OneLabel(label, 600), [GRAY], short_side=32)


def test_many_classes_are_mapped_to_a_taxonomy():
    class_ids = np.zeros(600, np.uint8)
    class_ids[300] = 7
    (label_map,) = segment_images(OneLabel(300, 600), [GRAY], short_side=32, class_ids=class_ids)
    assert (label_map == 7).all() and label_map.dtype == np.uint8


def test_a_label_without_a_name_is_refused():
    segmenter = OneLabel(300, 600, num_named=24)
    with pytest.raises(ValueError, match="`segmenter` gave label 300, but it has names for only 24 classes"):
        segment_images(segmenter, [GRAY], short_side=32, class_ids=np.arange(24, dtype=np.uint8))


def test_a_network_that_is_offloaded_by_layers_is_fed_where_it_computes():
    network = nn.Sequential(nn.Conv2d(3, 2, 1))
    assert computing_device(network) == torch.device("cpu")
    cpu_offload(network, execution_device=torch.device("cpu"))
    assert network[0].weight.is_meta and computing_device(network) == torch.device("cpu")
