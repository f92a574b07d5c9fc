"""The GAN family with a tiny real generator: one picture a file, any size, true to what the file knows."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.compact_image import CompactNetwork
from sgc_diffusion.families.gan import GanCompressionPipeline
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, LOSSLESS, exact_state
from sgc_diffusion.synthesis.finish import finish_picture
from sgc_diffusion.synthesis.gan import MAX_DRAWN_PIXELS, LabelGenerator, draw_payloads, drawn_size
from sgc_diffusion.synthesis.noise_seed import noise_seed
from sgc_diffusion.synthesis.provenance import GeneratedImage
from sgc_diffusion.synthesis.request import relabel


def random_generator(num_classes=54):
    """A generator that was not trained, but that adds something and is modulated."""
    torch.manual_seed(0)
    generator = LabelGenerator(num_classes, (32, 64), (1, 1, 1), (16, 8), (1, 1), style_channels=4)
    torch.nn.init.normal_(generator.pixels.weight, std=0.1)
    for blocks in generator.render:
        for block in blocks:
            torch.nn.init.normal_(block.modulation.weight, std=0.3)
    return generator.eval()


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(1)
    compact = CompactNetwork(width=8)
    torch.nn.init.normal_(compact.decide[-1].weight, std=0.3)
    return GanCompressionPipeline(random_generator(), compact.eval())


@pytest.fixture()
def picture(landscape):
    return np.asarray(landscape(130, 75))


@pytest.fixture()
def payload(picture):
    labels = LabelLayer(np.arange(12).reshape(3, 4), "landscape-24")
    return SemanticPayload(130, 75, labels, ColorLayer.from_color_map(picture[::20, ::20].copy(), 20))


def drawn(pipeline, payload, **options):
    return pipeline(payload, output_type="np", **options).images[0]


def test_a_file_has_one_picture(pipeline, payload):
    data = bitstream.encode(payload)
    images = [pipeline.decompress(data, decoder=name).images[0] for name in (None, "gan")]
    assert images[0].size == (130, 75) and images[0].tobytes() == images[1].tobytes()
    assert all(isinstance(image, GeneratedImage) for image in images)
    first = drawn(pipeline, payload)
    assert np.array_equal(first, drawn(pipeline, payload))
    other_labels = replace(payload, labels=LabelLayer(np.full((3, 4), 9, np.uint8), "landscape-24"))
    for other in (replace(payload, recipe=replace(payload.recipe, seed=1)), other_labels):
        assert np.abs(drawn(pipeline, other) - first).max() > 0.01
    assert np.abs(drawn(pipeline, payload, generator=torch.Generator().manual_seed(5)) - first).max() > 0.01


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 9), (33, 64), (63, 31)])
def test_any_size_is_drawn_and_its_edge_is_like_its_middle(pipeline, payload, width, height):
    sized = replace(payload, width=width, height=height)
    image = drawn(pipeline, sized)
    assert image.shape == (height, width, 3) and np.isfinite(image).all()
    noise = torch.Generator().manual_seed(noise_seed(sized))
    own = replace(sized, labels=relabel(sized, "general-54").labels)
    with torch.no_grad():
        pixels = draw_payloads(pipeline.generator, [own], [noise], (height, width))[0]
    assert pixels.shape == (3, height, width)
    assert np.allclose(finish_picture(pixels, sized, "np", 0.5), image, atol=1e-5)


def test_what_lies_beyond_the_edge_of_a_picture_moves_no_label(pipeline, payload):
    """Sides that are no multiple of 16 are padded; places keep the labels that they have at full size."""
    generator, size = random_generator(), []
    generator.register_forward_hook(lambda module, given, result: size.append((given[0], given[1])))
    GanCompressionPipeline(generator)(replace(payload, width=40, height=24))
    (labels, likeness), own = size[0], GanCompressionPipeline(random_generator())
    assert labels.shape == (1, 54, 4, 6) and likeness.shape == (1, 3, 32, 48)
    assert torch.equal(likeness[..., :24, 40:], likeness[..., :24, 39:40].expand(-1, -1, -1, 8))
    assert torch.equal(labels[..., :3, 5], labels[..., :3, 4]) and torch.equal(labels[..., 3, :], labels[..., 2, :])
    assert labels.sum(dim=1).eq(1).all() and own.drawing_sizes(payload) == [(75, 130)]


def test_pictures_of_one_size_are_drawn_together_and_threads_share_a_pipeline(pipeline, payload):
    members = [payload, replace(payload, recipe=replace(payload.recipe, seed=3)), replace(payload, width=64)]
    alone = [drawn(pipeline, member) for member in members]
    for image, expected in zip(pipeline(members, output_type="np").images, alone, strict=True):
        assert np.allclose(image, expected, atol=1e-4)
    with ThreadPoolExecutor(2) as threads:
        images = threads.map(lambda member: drawn(pipeline, member), 4 * members)
        for image, expected in zip(images, 4 * alone, strict=True):
            assert np.allclose(image, expected, atol=1e-5)


def test_what_detail_levels_coded_is_put_back(pipeline, payload, picture):
    """A drawing over detail fills what was quantized to zero, and nothing else: as of the other generators."""
    state, errors = exact_state(picture, payload.color_map), []
    for level in (None, 2, 5, 8):
        layers = () if level is None else (DetailLevel(FIRST_KIND + level, state),)
        image = np.asarray(pipeline(replace(payload, layers=layers), decoder="gan").images[0], dtype=float)
        errors.append(np.mean((image - picture) ** 2))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.1 * errors[0]
    exact = replace(payload, layers=(DetailLevel(FIRST_KIND + LOSSLESS, state),))
    assert np.array_equal(np.asarray(pipeline(exact, decoder="gan").images[0]), picture)
    with_likeness = replace(payload, layers=(DetailLevel(FIRST_KIND + 3, state),))
    plain = pipeline(with_likeness, detail_fill=0.0, decoder="gan").images[0]
    assert plain.tobytes() == pipeline.likeness(with_likeness).tobytes()


def test_very_large_pictures_and_wide_cells_are_drawn_smaller(payload):
    assert drawn_size(payload) == (75, 130)
    height, width = drawn_size(replace(payload, width=1300, height=750))  # a color cell is 186 pixels wide
    assert height / 4 <= 65 and width / height == pytest.approx(1.733, abs=0.02)
    fine = ColorLayer.from_color_map(np.zeros((64, 64, 3), np.uint8), 20)
    height, width = drawn_size(replace(payload, width=4096, height=4096, color=fine))
    assert 0.99 * MAX_DRAWN_PIXELS < height * width <= 1.01 * MAX_DRAWN_PIXELS


def test_other_precisions_draw_nearly_the_same(pipeline, payload):
    exact = drawn(pipeline, payload)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = drawn(pipeline, payload)
    assert 0 < np.abs(rounded - exact).max() < 0.1


def test_a_compact_image_is_a_color_map_of_the_same_grid(pipeline, payload, picture):
    compact = pipeline.make_compact(payload, picture)
    assert compact.color.levels.shape == payload.color.levels.shape and compact.color.quality == payload.color.quality
    assert compact != payload and bitstream.decode(bitstream.encode(compact)) == compact
    torch.manual_seed(0)
    start = GanCompressionPipeline(pipeline.generator, CompactNetwork(width=8))  # untrained: the means of the cells
    means = np.asarray(start.make_compact(replace(payload, width=128, height=64), picture[:64, :128]).color_map)
    blocks = picture[:64, :128].astype(float)[:, : 7 * 18].mean(axis=(0, 1))
    assert np.abs(means.astype(float).mean(axis=(0, 1)) - blocks).max() < 6
    with pytest.raises(ValueError, match="`picture` must be uint8"):
        pipeline.make_compact(payload, picture[1:])
    detailed = replace(payload, layers=(DetailLevel(FIRST_KIND, exact_state(picture, payload.color_map)),))
    with pytest.raises(ValueError, match="`payload` has detail"):
        pipeline.make_compact(detailed, picture)
    with pytest.raises(ValueError, match="`compact_network` is missing"):
        GanCompressionPipeline(pipeline.generator).make_compact(payload, picture)


def test_the_family_is_saved_and_loaded(pipeline, payload, picture, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = SemanticCompressionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is GanCompressionPipeline and loaded.weights_hash == pipeline.weights_hash != 0
    assert np.array_equal(drawn(loaded, payload), drawn(pipeline, payload))
    assert loaded.make_compact(payload, picture) == pipeline.make_compact(payload, picture)
    alone = GanCompressionPipeline(pipeline.generator)
    assert alone.weights_hash == pipeline.weights_hash  # what makes color maps plays no part in drawing them
    with pytest.raises(ValueError, match="`output_type` latent"):
        alone(payload, output_type="latent")
    with pytest.raises(ValueError, match="`decoder` vae: this pipeline has none"):
        alone(payload, decoder="vae")
    with pytest.raises(ValueError, match="`generator` knows 9 classes"):
        GanCompressionPipeline(random_generator(9))
