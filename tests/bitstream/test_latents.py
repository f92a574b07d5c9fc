"""The latent layers: symbols ↔ bytes, exact, whatever is missing, and nothing that an encoder does not write."""

from dataclasses import replace

import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import BitstreamError, DecodedLayers, UnsupportedVersionError, tables
from sgc_diffusion.bitstream.errors import CorruptSectionError
from sgc_diffusion.bitstream.latent_symbols import LEAST_PROBABILITY, SymbolDecoder, SymbolEncoder, code_level
from sgc_diffusion.bitstream.latents import LATENT_LEVELS
from sgc_diffusion.payload import ColorLayer, ImportanceLayer, LabelLayer, LatentLevel, SemanticPayload, UnknownLayer
from sgc_diffusion.payload import latent_contexts as contexts
from sgc_diffusion.payload.latents import CHANNELS, FIRST_KIND, MAX_SYMBOL, gamma_indices, level_size


def make_payload(width=130, height=70, levels=(0, 1, 2, 3), scale=1.0, gamma_index=20, reduction=0, taxonomy=None):
    rng = np.random.default_rng(width + len(levels))
    labels = LabelLayer(rng.integers(0, 8, (5, 9)), taxonomy or "general-54")
    color = ColorLayer.from_color_map(rng.integers(0, 256, (4, 7, 3), dtype=np.uint8), 30)
    layers = []
    for level in levels:
        size = level_size(height, width, reduction, level)
        values = np.round(rng.laplace(0, scale, (CHANNELS[level], *size))).clip(-MAX_SYMBOL, MAX_SYMBOL)
        layers.append(LatentLevel(FIRST_KIND + level, values.astype(np.int16), gamma_index, reduction))
    return SemanticPayload(width, height, labels, color, layers=tuple(layers))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"levels": (3,)},
        {"levels": (0, 2), "scale": 0.05},
        {"scale": 900.0, "levels": (0, 1)},
        {"width": 1, "height": 1},
        {"width": 300, "height": 211, "reduction": 2, "gamma_index": 48},
        {"taxonomy": "landscape-8"},
        {"taxonomy": "cityscapes-19", "gamma_index": 0},
    ],
)
def test_symbols_come_back(options):
    payload = make_payload(**options)
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload
    assert bitstream.encode(bitstream.decode(data)) == data


def test_every_size_of_a_symbol_comes_back():
    values = np.zeros((CHANNELS[3], 9, 17), np.int16)
    values.ravel()[: 2 * MAX_SYMBOL + 1 : 5] = np.arange(-MAX_SYMBOL, MAX_SYMBOL + 1)[::5][: len(values.ravel()[::5])]
    values.ravel()[-40:] = np.arange(-20, 20)
    values.ravel()[:2] = -MAX_SYMBOL, MAX_SYMBOL
    payload = replace(make_payload(), layers=(LatentLevel(6, values, 3),))
    assert bitstream.decode(bitstream.encode(payload), strict=True) == payload


def test_a_file_may_be_cut_after_every_level():
    payload = make_payload()
    whole = bitstream.encode(payload)
    for count in range(4):
        part = replace(payload, layers=payload.layers[:count])
        data = bitstream.encode(part)
        assert whole[len(data) - 8 :] and bitstream.decode(data, strict=True) == part
        assert bitstream.inspect(whole).layer_bytes[f"latents {count}"] > 5


def test_a_damaged_level_costs_those_that_are_built_on_it():
    payload = make_payload()
    data = bytearray(bitstream.encode(payload))
    start = len(bitstream.encode(replace(payload, layers=payload.layers[:2])))
    data[start + 10] ^= 4
    with pytest.warns(bitstream.DamagedLayerWarning, match="latents 3"):
        assert bitstream.decode(bytes(data)).layers == payload.layers[:2]


def before(payload, layers=()):
    return DecodedLayers(payload.width, payload.height, payload.labels, payload.color, layers)


def test_bodies_that_no_encoder_writes_are_rejected():
    payload = make_payload()
    first, second = payload.layers[:2]
    body = LATENT_LEVELS[0].encode(first, before(payload))
    cases = {
        b"": "is empty",
        body[:1]: "ends in its first two bytes",
        b"\x31" + body[1:]: "index of γ",
        b"\x40" + body[1:]: "not built on the level below",
        body + b"\x01": "does not end",
    }
    for case, message in cases.items():
        with pytest.raises(BitstreamError, match=message):
            LATENT_LEVELS[0].decode(case, before(payload))
    upper = LATENT_LEVELS[1].encode(second, before(payload, (first,)))
    assert LATENT_LEVELS[1].named_bases(upper) == (3,) and LATENT_LEVELS[0].named_bases(b"\xc0") == ()
    with pytest.raises(CorruptSectionError, match="starts with a byte"):
        LATENT_LEVELS[1].decode(bytes([upper[0] | 1]) + upper[1:], before(payload, (first,)))
    with pytest.raises(CorruptSectionError, match="not built on"):
        LATENT_LEVELS[1].decode(upper, before(payload))


def test_latents_of_an_unknown_network_are_kept():
    payload = make_payload(levels=(1, 2))
    bodies = [
        LATENT_LEVELS[1].encode(payload.layers[0], before(payload)),
        LATENT_LEVELS[2].encode(payload.layers[1], before(payload, payload.layers[:1])),
    ]
    later = bodies[0][:1] + bytes([bodies[0][1] | 8]) + bodies[0][2:]
    with pytest.raises(UnsupportedVersionError, match="network 1"):
        LATENT_LEVELS[1].decode(later, before(payload))
    kept = replace(payload, layers=(UnknownLayer(4, later), UnknownLayer(5, bodies[1])))
    data = bitstream.encode(kept)
    assert bitstream.decode(data, strict=True) == kept and bitstream.encode(bitstream.decode(data)) == data


def test_few_bytes_cannot_keep_a_reader_busy():
    payload = replace(make_payload(levels=()), width=2**20, height=2**20)
    for coder in LATENT_LEVELS:
        with pytest.raises(CorruptSectionError, match="too few bytes"):
            coder.decode(bytes([5, 0]) + b"\x12" * 30, before(payload))


def test_random_bodies_raise_nothing_else():
    payload, rng = make_payload(width=64, height=64, levels=()), np.random.default_rng(0)
    for _ in range(60):
        body = bytes([5, int(rng.integers(8))]) + rng.bytes(int(rng.integers(0, 60)))
        coder = LATENT_LEVELS[int(rng.integers(4))]
        try:
            layer = coder.decode(body, before(payload))
        except BitstreamError:
            continue
        assert coder.encode(layer, before(payload)) == body


def test_a_symbol_that_is_too_large_is_rejected():
    payload = make_payload(width=8, height=8, levels=())
    labels = contexts.reference_labels(payload.label_map, "general-54")
    given = contexts.given_places(labels, payload.color_map, 5, 1, 1)
    writer = SymbolEncoder(np.full((CHANNELS[0], 1, 1), MAX_SYMBOL + 3, np.int16))
    code_level(writer, 0, (CHANNELS[0], 1, 1), None, given)
    with pytest.raises(CorruptSectionError, match="a symbol that no encoder writes"):
        LATENT_LEVELS[0].decode(bytes([5, 0]) + writer.finish(), before(payload))


def test_layers_that_do_not_fit_are_not_written():
    payload = make_payload()
    with pytest.raises(ValueError, match="must hold latents of shape"):
        bitstream.encode(replace(payload, width=300))
    other = replace(payload.layers[1], gamma_index=21)
    with pytest.raises(ValueError, match="one γ, reduction, network"):
        bitstream.encode(replace(payload, layers=(payload.layers[0], other)))


def test_tables_have_their_shapes_and_bounds():
    loaded = tables.load_tables("latents")
    assert {name: loaded[name].shape for name in contexts.TABLE_SHAPES} == contexts.TABLE_SHAPES
    assert all(loaded[name].dtype == np.int8 for name in contexts.TABLE_SHAPES)
    symbol = loaded["symbol"]
    assert symbol.dtype == np.uint16 and symbol.shape == (64, 15)
    assert symbol.min() >= LEAST_PROBABILITY and symbol.max() <= 65536 - LEAST_PROBABILITY


def test_a_reader_meets_the_contexts_that_training_sees_at_once():
    rng = np.random.default_rng(3)
    symbols = np.round(rng.laplace(0, 1, (CHANNELS[2], 5, 7))).astype(np.int16)
    seen = {}

    class Watcher(SymbolEncoder):
        def answer(self, channel, part, scales):
            seen[channel, part[0].start, part[1].start] = scales
            return super().answer(channel, part, scales)

    coarser = np.round(rng.laplace(0, 2, (CHANNELS[1], 3, 4))).astype(np.int16)
    given = contexts.given_places(np.arange(6).reshape(2, 3), np.zeros((2, 2, 3), np.uint8), 9, 5, 7)
    writer = Watcher(symbols)
    code_level(writer, 2, symbols.shape, coarser, given)
    sizes, entries = contexts.sizes_of(symbols), tables.load_tables("latents")
    places = {name: np.broadcast_to(part, symbols.shape) for name, part in given.items()}
    places["coarse"] = np.broadcast_to(contexts.coarse_places(coarser, 5, 7), symbols.shape)
    places["earlier"] = contexts.earlier_places(np.cumsum(sizes, axis=0) - sizes)
    places["near"] = contexts.all_near_places(sizes)
    channels = np.arange(len(symbols)).reshape(-1, 1, 1)
    sums = sum(entries[name][2][channels, part].astype(np.int64) for name, part in places.items())
    scales = np.clip((sums + 64) >> 1, 0, 63)
    for (channel, row, column), expected in seen.items():
        assert np.array_equal(scales[channel, row::2, column::2].ravel(), expected)
    reader = SymbolDecoder(writer.finish())
    assert np.array_equal(code_level(reader, 2, symbols.shape, coarser, given), symbols)
    reader.finish()


def test_gamma_follows_the_importance():
    importance = ImportanceLayer(np.array([[0, 1], [2, 3]]), strength=2)
    assert gamma_indices(20, importance).tolist() == [[12, 20], [28, 36]]
    assert gamma_indices(1, importance).min() == 0 and gamma_indices(47, importance).max() == 48
    payload = make_payload()
    following = tuple(replace(layer, follows_importance=True) for layer in payload.layers)
    payload = replace(payload, layers=(importance, *following))
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload
    with pytest.raises(ValueError, match="must hold the importance layer"):
        bitstream.encode(replace(payload, layers=following))
    body = LATENT_LEVELS[0].encode(following[0], before(payload, (importance,)))
    assert LATENT_LEVELS[0].named_bases(body) == (1,)
    with pytest.raises(CorruptSectionError, match="follows an importance"):
        LATENT_LEVELS[0].decode(body, before(payload))
    thinner = bitstream.decode(bitstream.thin(data, max_bytes=len(data) - 1))
    assert [layer.kind for layer in thinner.layers] == [1, 3, 4, 5]
