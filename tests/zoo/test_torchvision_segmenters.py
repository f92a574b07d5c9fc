"""torchvision's DeepLabV3 with random weights: the networks of the paper's segmenter, from file to label map."""

import argparse
import urllib.error

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sgc_diffusion import SemanticCompressionPipeline
from sgc_diffusion.analysis.grid import vote
from sgc_diffusion.analysis.labels import VOTES_PER_SIDE
from sgc_diffusion.taxonomy import class_table, load_taxonomy
from sgc_diffusion.zoo.segmenters import load_segmenter, segmenter_table
from sgc_diffusion.zoo.torchvision_segmenters import NAMES, TorchvisionSegmenter, load_deeplab

PUBLISHED_FILES = {
    "deeplabv3_resnet50": "deeplabv3_resnet50_coco-cd0a2569.pth",
    "deeplabv3_resnet101": "deeplabv3_resnet101_coco-586e9e4e.pth",
}


def random_state(name, num_classes):
    """Return a state_dict like the published one, with its auxiliary head, whose labels vary over a picture."""
    from torchvision.models import segmentation

    torch.manual_seed(0)
    network = getattr(segmentation, name)(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True
    ).eval()
    nn.init.normal_(network.classifier[4].weight)
    return network.state_dict()


class ChannelNetwork(nn.Module):
    """Returns its input as the logits of three of 21 classes."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, pixels):
        return {"out": torch.cat([pixels * self.scale, pixels.new_full((1, 18, *pixels.shape[2:]), -9)], dim=1)}


def test_a_network_sees_imagenet_normalization():
    segmenter = TorchvisionSegmenter(ChannelNetwork(), "voc-21")
    white = segmenter(torch.ones(1, 3, 4, 4)).logits[0, :3, 0, 0]
    assert torch.allclose(white, torch.tensor([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]))
    table = segmenter_table(segmenter, "landscape-24")
    assert load_taxonomy("landscape-24").names[table[15]] == "creature"


@pytest.mark.parametrize("name", NAMES)
def test_published_weights_are_taken_from_torchs_folder(name, tmp_path, monkeypatch, tiny_pipeline_folder, landscape):
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    state = random_state(name, 21)
    torch.save(state, tmp_path / "hub" / "checkpoints" / PUBLISHED_FILES[name])
    pipeline = SemanticCompressionPipeline.from_pretrained(tiny_pipeline_folder, segmenter=f"torchvision/{name}")
    assert torch.equal(pipeline.segmenter.network.state_dict()["classifier.4.weight"], state["classifier.4.weight"])
    seen = []
    pipeline.segmenter.network.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output["out"])))
    image = landscape(96, 64)
    label_map = pipeline.analyze(image).label_map
    ((given, logits),) = seen

    fed = np.asarray(image.resize((768, 512), resample=2), dtype=np.float32) / 255  # 520 to the next multiple of 32
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert torch.allclose(given, torch.from_numpy((fed - mean) / std).permute(2, 0, 1)[None].float(), atol=1e-5)
    size = tuple(side * VOTES_PER_SIDE for side in label_map.shape)
    fine = functional.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(dim=1)[0].numpy()
    wanted = vote(class_table("voc-21", "landscape-24")[fine], *label_map.shape)
    assert len(np.unique(fine)) > 1 and np.array_equal(label_map, wanted)


def test_a_pipeline_with_it_can_be_moved_and_saved_without_it(tiny_pipeline, tmp_path, caplog, landscape):
    segmenter = TorchvisionSegmenter(ChannelNetwork(), "voc-21").eval()
    tiny_pipeline.use_segmenter(segmenter)
    tiny_pipeline.save_pretrained(tmp_path)
    assert "TorchvisionSegmenter, which is not saved" in caplog.text and tiny_pipeline.segmenter is segmenter
    with pytest.raises(ValueError, match="`segmenter` is missing"):
        SemanticCompressionPipeline.from_pretrained(tmp_path).analyze(landscape(40, 40))
    again = SemanticCompressionPipeline.from_pretrained(tmp_path, segmenter=segmenter)
    expected = again.analyze(landscape(40, 40)).label_map
    assert np.array_equal(again.to("cpu").analyze(landscape(40, 40)).label_map, expected)
    again.enable_model_cpu_offload(device="cpu")
    assert np.array_equal(again.analyze(landscape(40, 40)).label_map, expected)
    again.remove_all_hooks()
    again.to(torch.bfloat16)
    assert segmenter.dtype == torch.bfloat16
    assert np.mean(again.analyze(landscape(40, 40)).label_map == expected) > 0.9


def test_its_own_order_of_classes_is_that_of_the_taxonomy():
    from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, DeepLabV3_ResNet101_Weights

    for weights in (DeepLabV3_ResNet50_Weights.DEFAULT, DeepLabV3_ResNet101_Weights.DEFAULT):
        names = [name.strip("_") for name in weights.meta["categories"]]
        assert tuple(names) == load_taxonomy("voc-21").names


def test_weights_of_a_training_run_tell_their_label_set_by_their_number(tmp_path):
    state = random_state("deeplabv3_resnet50", 182)
    content = {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)}  # as torchvision's recipe writes it
    torch.save(content, tmp_path / "model_3.pth")
    segmenter, processor = load_segmenter(f"torchvision/deeplabv3_resnet50:{tmp_path / 'model_3.pth'}")
    assert processor is None and not segmenter.training
    assert tuple(segmenter.config.id2label.values()) == load_taxonomy("coco-stuff-182").names
    assert torch.equal(segmenter.network.state_dict()["classifier.4.weight"], state["classifier.4.weight"])

    del state["backbone.conv1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"holds no weights of deeplabv3_resnet50: .*conv1"):
        load_deeplab(f"deeplabv3_resnet50:{tmp_path / 'part.pth'}")


def test_files_of_something_else_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"weight": torch.ones(1)}, tmp_path / "other.pth")
    torch.save({"classifier.4.weight": torch.ones(7, 256, 1, 1)}, tmp_path / "seven.pth")
    cases = {
        "text": "cannot be read",
        "other": "classifier.4.weight is missing",
        "seven": "7 classes, the number of no",
    }
    for name, message in cases.items():
        with pytest.raises(ValueError, match=message):
            load_deeplab(f"deeplabv3_resnet50:{tmp_path / name}.pth")
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        load_deeplab(f"deeplabv3_resnet50:{tmp_path / 'absent.pth'}")
    with pytest.raises(ValueError, match="torchvision/unet is not known"):
        load_deeplab("unet")


def test_weights_that_cannot_be_fetched_are_named(tmp_path, monkeypatch):
    def unreachable(*_arguments, **_options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)  # the network's place in torch
    with pytest.raises(OSError, match=r"not in .*checkpoints and cannot be fetched .*:weights\.pth"):
        load_deeplab("deeplabv3_resnet50")
