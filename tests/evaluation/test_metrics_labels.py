"""Label metrics against torch and by hand, and segmenters of every kind."""

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

from sgc_diffusion.evaluation.metrics import load_metrics
from sgc_diffusion.evaluation.metrics.semantic import label_agreement, label_bce, label_miou


@pytest.mark.parametrize("num_classes", [3, 151, 182])
def test_label_bce_is_torchs_of_the_one_hot_maps(num_classes):
    rng = np.random.default_rng(0)
    first = rng.integers(0, num_classes, (24, 32))
    second = np.where(rng.random((24, 32)) < 0.6, first, rng.integers(0, num_classes, (24, 32)))
    one_hot = [torch.nn.functional.one_hot(torch.from_numpy(one), num_classes).float() for one in (second, first)]
    wanted = torch.nn.functional.binary_cross_entropy(*one_hot)
    assert label_bce(first, second, num_classes) == pytest.approx(float(wanted), rel=1e-5)
    assert label_bce(first, first, num_classes) == 0


def test_the_papers_figures_are_shares_of_pixels():
    """0.93 and 0.40 over 182 labels are 85 % and 36 % of the pixels with another label; 1.10 is all of them."""
    first = np.zeros((10, 100), int)
    for share, figure in ((0.85, 0.93), (0.364, 0.40), (1.0, 1.10)):
        second = (np.arange(1000) < 1000 * share).astype(int).reshape(10, 100)
        assert label_bce(first, second, 182) == pytest.approx(figure, abs=0.005)


def test_miou_counts_the_labels_of_either_map():
    first = np.array([[0, 0, 1, 1], [0, 0, 1, 1]])
    second = np.array([[0, 0, 0, 1], [0, 0, 5, 1]])
    # 0: 4 of 5 pixels; 1: 2 of 4; 5: none of 1; labels 2 to 4 are in no map
    assert label_miou(first, second, 7) == pytest.approx((4 / 5 + 2 / 4 + 0) / 3)
    assert label_agreement(first, second) == pytest.approx(6 / 8)
    assert label_miou(first, first, 7) == 1


def write_tflite(path, side=16):
    """A network of one operation: the logits of three classes are red, green and blue, if above 0."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version, model.operatorCodes = 1, [code]
    graph, relu = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for name, tensor in zip(("pixels", "logits"), graph.tensors, strict=True):
        tensor.shape, tensor.type, tensor.buffer, tensor.name = [1, side, side, 3], schema.TensorType.FLOAT32, 0, name
    relu.opcodeIndex, relu.inputs, relu.outputs = 0, [0], [1]
    graph.operators, graph.inputs, graph.outputs = [relu], [0], [1]
    model.subgraphs = [graph]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def write_tflite_of_600_classes(path, side=16):
    """A network of one 1×1 convolution of 600 classes: 44 where the picture is light, 300 where it is dark."""
    model = schema.ModelT()
    filters, bias = np.zeros((600, 1, 1, 3), np.float32), np.full(600, -9, np.float32)
    filters[44], filters[300], bias[[44, 300]] = 1, -1, 0
    contents = [None, filters, bias]
    model.version, model.buffers = 3, [schema.BufferT() for _ in contents]
    for buffer, array in zip(model.buffers[1:], contents[1:], strict=True):
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version, model.operatorCodes = 1, [code]
    graph, convolution = schema.SubGraphT(), schema.OperatorT()
    shapes = {"pixels": [1, side, side, 3], "filters": [600, 1, 1, 3], "bias": [600], "logits": [1, side, side, 600]}
    graph.tensors = [schema.TensorT() for _ in shapes]
    for index, (tensor, (name, shape)) in enumerate(zip(graph.tensors, shapes.items(), strict=True)):
        tensor.shape, tensor.type, tensor.name = shape, schema.TensorType.FLOAT32, name
        tensor.buffer = index if 0 < index < 3 else 0
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    convolution.builtinOptionsType, convolution.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
    convolution.opcodeIndex, convolution.inputs, convolution.outputs = 0, [0, 1, 2], [3]
    graph.operators, graph.inputs, graph.outputs = [convolution], [0], [3]
    model.subgraphs = [graph]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def test_ids_above_255_are_no_others(tmp_path):
    """300 is not 44, its remainder by 256."""
    write_tflite_of_600_classes(tmp_path / "segmenter.tflite")
    light, dark = np.full((16, 16, 3), 250, np.uint8), np.full((16, 16, 3), 5, np.uint8)
    evaluator = load_metrics(["label_bce", "label_miou", "label_agreement"], weights_dir=tmp_path)
    assert evaluator.segmenter == "segmenter.tflite, 600 labels"
    wanted = {"label_bce": pytest.approx(200 / 600), "label_miou": 0, "label_agreement": 0}
    assert evaluator.measure(light, dark) == wanted
    assert evaluator.measure(dark, dark) == {"label_bce": 0, "label_miou": 1, "label_agreement": 1}


@pytest.mark.parametrize("given", [True, False])
def test_a_tflite_file_segments(tmp_path, given):
    write_tflite(tmp_path / "segmenter.tflite")
    original = np.zeros((16, 16, 3), np.uint8)
    original[:8, :, 1] = original[8:, :, 2] = 255  # green over blue
    decoded = original.copy()
    decoded[12:] = (255, 0, 0)  # a quarter turned red
    chosen = {"segmenter": str(tmp_path / "segmenter.tflite")} if given else {"weights_dir": tmp_path}
    evaluator = load_metrics(["label_bce", "label_miou", "label_agreement"], **chosen)
    assert evaluator.segmenter == "segmenter.tflite, 3 labels" and evaluator.unavailable == {}
    wanted = {"label_bce": 200 / 3 * 0.25, "label_miou": (1 + 0.5 + 0) / 3, "label_agreement": 0.75}
    assert evaluator.measure(original, decoded) == pytest.approx(wanted)
    assert load_metrics(["label_miou"], **chosen).measure(original, decoded) == {"label_miou": pytest.approx(0.5)}
    assert evaluator.measure(original, original)["label_bce"] == 0  # the original's map is remembered, not mixed up
    assert evaluator.measure(decoded, original)["label_miou"] == pytest.approx(0.5)


def test_a_file_that_is_no_segmenter_is_reported(tmp_path):
    (tmp_path / "segmenter.tflite").write_bytes(b"no model")
    text = load_metrics(["label_miou"], weights_dir=tmp_path).unavailable["label_miou"]
    assert text.startswith("no segmenter (") and "--segmenter" in text


@pytest.mark.parametrize("num_labels", [5, 600])
def test_a_transformers_folder_segments(tmp_path, landscape, num_labels):
    torch.manual_seed(0)
    config = SegformerConfig(
        num_encoder_blocks=1, depths=[1], sr_ratios=[1], hidden_sizes=[8], patch_sizes=[7], strides=[4],
        num_attention_heads=[1], mlp_ratios=[1], decoder_hidden_size=8, num_labels=num_labels,
    )  # fmt: skip
    model = SegformerForSemanticSegmentation(config).eval()
    if num_labels == 600:  # 44 here and 300 there, equal in their last eight bits
        model.decode_head.classifier.bias.data[:] = -99
        model.decode_head.classifier.weight.data[300] = -model.decode_head.classifier.weight.data[44]
        model.decode_head.classifier.bias.data[[44, 300]] = 0
    model.save_pretrained(tmp_path / "segmenter")
    SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "segmenter")
    original, decoded = np.asarray(landscape(64, 48)), np.asarray(landscape(64, 48, seed=1))
    evaluator = load_metrics(["label_agreement"], weights_dir=tmp_path)
    assert evaluator.segmenter.endswith(f"segmenter, {num_labels} labels")
    processor, maps = SegformerImageProcessor(size={"height": 64, "width": 64}), []
    for picture in (original, decoded):
        with torch.no_grad():
            logits = model(**processor(picture, return_tensors="pt")).logits
        maps.append(torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear").argmax(dim=1))
    wanted = float((maps[0] == maps[1]).float().mean())
    assert 0 < wanted < 1
    assert evaluator.measure(original, decoded) == {"label_agreement": pytest.approx(wanted)}
