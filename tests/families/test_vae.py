"""The VAE family with tiny real networks: the same picture every time, cut anywhere, saved and loaded."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from sgc_diffusion import SemanticCompressionPipeline, bitstream
from sgc_diffusion.analysis.latent_encoder import LatentEncoder
from sgc_diffusion.analysis.latents import LatentNetworks, choose_symbols, fit_latents, padded_pixels
from sgc_diffusion.families.vae import VaeCompressionPipeline
from sgc_diffusion.payload import ColorLayer, LabelLayer, LatentLevel, SemanticPayload
from sgc_diffusion.payload.latents import gamma_log2, level_size
from sgc_diffusion.synthesis.vae import LatentDecoder, conditions_of, latent_likeness

WIDTHS = (8, 8, 12, 8)


def random_networks(num_classes=54):
    """Networks that were not trained, but whose means, gains and pixels are no zeros."""
    torch.manual_seed(0)
    decoder = LatentDecoder(num_classes, WIDTHS, (1, 1, 1, 1), 8, 1, label_channels=4, gamma_channels=8)
    encoder = LatentEncoder(WIDTHS, (8, 8, 8, 12), (1, 1, 1, 1), 8, 1, gamma_channels=8)
    for layer in (*decoder.means, *decoder.gains, decoder.pixels, *encoder.latents):
        torch.nn.init.normal_(layer.weight, std=0.3)
    for block in (*decoder.before, *decoder.fine, *encoder.fine):
        torch.nn.init.normal_(block.modulation.weight, std=0.3)
    return encoder.eval(), decoder.eval()


@pytest.fixture(scope="module")
def pipeline():
    encoder, decoder = random_networks()
    return VaeCompressionPipeline(vae=decoder, latent_encoder=encoder)


@pytest.fixture()
def picture():
    return np.random.default_rng(0).integers(0, 256, (75, 130, 3), dtype=np.uint8)


@pytest.fixture()
def payload(picture):
    labels = LabelLayer(np.arange(12).reshape(3, 4), "landscape-24")
    return SemanticPayload(130, 75, labels, ColorLayer.from_color_map(picture[::20, ::20].copy(), 20))


@pytest.mark.parametrize("reduction", [0, 1])
def test_latents_are_made_written_and_drawn(pipeline, payload, picture, reduction):
    larger = pipeline.add_latents(payload, picture, gamma_index=24, reduction=reduction)
    assert [layer.kind for layer in larger.layers] == [3, 4, 5, 6] and larger.labels == payload.labels
    for layer in larger.layers:
        assert layer.symbols.shape[1:] == level_size(75, 130, reduction, layer.level)
    data = bitstream.encode(larger)
    assert bitstream.decode(data, strict=True) == larger
    first, second = (pipeline.decompress(data, decoder=name, output_type="np").images[0] for name in (None, "vae"))
    assert first.shape == (75, 130, 3) and np.array_equal(first, second)
    assert not np.allclose(first, pipeline(payload, output_type="np").images[0], atol=0.02)


def test_the_decoder_gives_what_the_encoder_saw(pipeline, payload, picture):
    own = replace(payload, labels=LabelLayer(payload.label_map, "general-54"))
    larger = pipeline.add_latents(own, picture, gamma_index=24)
    conditions = conditions_of(own, gamma_log2(24))
    networks = LatentNetworks(pipeline.latent_encoder, pipeline.vae, conditions_of)
    _, decoded = choose_symbols(networks, padded_pixels(picture, 0, conditions.base.shape[-2:]), conditions)
    drawn = latent_likeness(pipeline.vae, [larger], 0)
    assert torch.allclose(drawn, decoded[..., :75, :130].clamp(-1, 1), atol=1e-5)


def test_a_level_that_is_not_there_is_its_prediction(pipeline, payload, picture):
    larger = pipeline.add_latents(payload, picture, gamma_index=24)
    pictures = []
    for count in range(5):
        cut = replace(larger, layers=larger.layers[:count])
        zeros = [replace(layer, symbols=np.zeros_like(layer.symbols)) for layer in larger.layers[count:]]
        full = replace(larger, layers=(*cut.layers, *zeros))
        drawn = pipeline(full, output_type="np").images[0]
        if count:
            assert np.allclose(pipeline(cut, output_type="np").images[0], drawn, atol=1e-5)
        pictures.append(drawn)
    assert all(not np.allclose(a, b, atol=1e-4) for a, b in pairwise(pictures))


def test_pictures_of_one_size_are_drawn_together(pipeline, payload, picture):
    members = [payload, pipeline.add_latents(payload, picture, 8), pipeline.add_latents(payload, picture, 30)]
    members.append(replace(members[1], layers=members[1].layers[2:]))
    members.append(pipeline.add_latents(payload, picture, 30, reduction=1))
    together = pipeline(members, output_type="np").images
    for member, drawn in zip(members, together, strict=True):
        assert np.allclose(pipeline(member, output_type="np").images[0], drawn, atol=1e-5)


def test_other_precisions_and_threads_read_the_same_symbols(pipeline, payload, picture):
    data = bitstream.encode(pipeline.add_latents(payload, picture, gamma_index=12))
    expected = bitstream.decode(data)
    with torch.autocast("cpu", torch.bfloat16):
        assert bitstream.decode(data) == expected
        rounded = bitstream.encode(pipeline.add_latents(payload, picture, gamma_index=12))
    assert bitstream.encode(bitstream.decode(rounded, strict=True)) == rounded
    exact = pipeline(expected, output_type="np").images[0]
    doubled = random_networks()[1].to(torch.float64)
    other = VaeCompressionPipeline(vae=doubled)(expected, output_type="np").images[0]
    assert np.abs(exact - other).max() < 1e-4


def test_gamma_may_differ_from_place_to_place(pipeline, payload, picture):
    own = replace(payload, labels=LabelLayer(payload.label_map, "general-54"))
    networks = LatentNetworks(pipeline.latent_encoder, pipeline.vae, conditions_of)

    def sizes(gamma):
        conditions = conditions_of(own, gamma)
        pixels = padded_pixels(picture, 0, conditions.base.shape[-2:])
        return choose_symbols(networks, pixels, conditions)[0][3].abs().mean(dim=(0, 1))

    even, plane = sizes(3.0), sizes(np.array([[3.0, 9.0]]))
    assert torch.allclose(sizes(np.full((2, 2), 3.0)), even)
    assert plane[:, 9:].mean() > 3 * plane[:, :8].mean()


def test_as_much_as_fits(pipeline, payload, picture):
    own = replace(payload, labels=LabelLayer(payload.label_map, "general-54"))
    networks = LatentNetworks(pipeline.latent_encoder, pipeline.vae, conditions_of)
    start = bitstream.size_bytes(own)
    first, second = fit_latents(own, picture, 420, networks, bitstream.size_bytes, reductions=(0, 1))
    assert all(bitstream.size_bytes(fitting) <= start + 420 for fitting in (first, second))
    index = first.layer(LatentLevel).gamma_index
    assert bitstream.size_bytes(pipeline.add_latents(own, picture, index + 1)) > start + 420
    assert second.layer(LatentLevel).reduction == 1
    assert fit_latents(own, picture, -1, networks, bitstream.size_bytes) == []


def test_the_family_is_saved_and_loaded(pipeline, payload, picture, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = SemanticCompressionPipeline.from_pretrained(tmp_path)
    assert type(loaded) is VaeCompressionPipeline and loaded.weights_hash == pipeline.weights_hash != 0
    larger = pipeline.add_latents(payload, picture, gamma_index=16)
    assert loaded.add_latents(payload, picture, gamma_index=16) == larger
    alone = VaeCompressionPipeline(vae=pipeline.vae)
    assert alone.weights_hash == pipeline.weights_hash  # what makes latents plays no part in drawing them
    with pytest.raises(ValueError, match="`latent_encoder` is missing"):
        alone.add_latents(payload, picture, 3)
    with pytest.raises(ValueError, match="`output_type` latent"):
        alone(payload, output_type="latent")


def test_what_does_not_fit_is_rejected(pipeline, payload, picture):
    with pytest.raises(ValueError, match="`vae` knows 9 classes"):
        VaeCompressionPipeline(vae=random_networks(9)[1])
    with pytest.raises(ValueError, match="`picture` must be uint8 of shape"):
        pipeline.add_latents(payload, picture[:-1], 3)
    with pytest.raises(ValueError, match="`gamma_index`"):
        VaeCompressionPipeline(vae=pipeline.vae, gamma_index=49)
    with pytest.raises(ValueError, match="`decoder` diffusion: this pipeline has none"):
        pipeline(payload, decoder="diffusion")
