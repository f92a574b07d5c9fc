"""Detail levels as layers of a file: by value, in any selection, cut, damaged, thinned, hostile."""

import time
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgc_diffusion import bitstream
from sgc_diffusion.bitstream import detail, detail_levels, detail_probability
from sgc_diffusion.bitstream.container import write_layer
from sgc_diffusion.bitstream.detail_planes import PlaneCoder
from sgc_diffusion.payload import ColorLayer, DetailLevel, LabelLayer, SemanticPayload
from sgc_diffusion.payload.detail import FIRST_KIND, exact_state, likeness, nothing_known, partly

HEIGHT, WIDTH = 45, 70


def picture(seed=0):
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    luma = 110 + 60 * np.sin(rows / 9) * np.cos(columns / 14) + 50 * ((rows + columns) % 40 > 20)
    return np.clip(luma[..., None] + generator.normal(0, 3, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


PLAIN = SemanticPayload(
    WIDTH,
    HEIGHT,
    LabelLayer(np.arange(12, dtype=np.uint8).reshape(3, 4), "landscape-24"),
    ColorLayer.from_color_map(picture()[::15, ::15].copy(), 32),
)
WEIGHTS = detail_probability.load_detail_tables()["weights"]
STATE = exact_state(picture(), PLAIN.color_map)


def with_levels(*levels, state=STATE):
    return replace(PLAIN, layers=tuple(DetailLevel(FIRST_KIND + level, state) for level in levels))


def levels_of(payload):
    return [layer.level for layer in payload.layers]


def quietly_decoded(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return bitstream.decode(data), [str(entry.message) for entry in caught]


@pytest.mark.parametrize("levels", [range(16), [15], [0], [3, 4, 9, 15], [1, 14]])
def test_levels_survive_by_value(levels):
    payload = with_levels(*levels)
    data = bitstream.encode(payload)
    assert data.startswith(bitstream.encode(PLAIN)) and len(data) == bitstream.size_bytes(payload)
    decoded = bitstream.decode(data, strict=True)
    assert decoded == payload and bitstream.encode(decoded) == data
    assert list(bitstream.inspect(data).layer_bytes) == ["labels", "color", *(f"detail {level}" for level in levels)]
    if levels[-1] == 15:
        assert np.array_equal(likeness(decoded.layers[-1].state), picture())


def test_a_level_says_no_more_than_its_planes():
    assert bitstream.decode(bitstream.encode(with_levels(4))) == with_levels(4)
    assert with_levels(4) == with_levels(4, state=DetailLevel(FIRST_KIND + 4, STATE).state)
    assert with_levels(4).layers[0].state.bands[0].plane > 0
    assert with_levels(4) != with_levels(5) and with_levels(4, 6) != with_levels(4)
    assert with_levels(12) != with_levels(12, state=exact_state(picture(1), PLAIN.color_map))


def test_decoded_levels_share_their_arrays():
    lower, higher = bitstream.decode(bitstream.encode(with_levels(8, 15))).layers
    assert lower.finest is higher.finest and not lower.finest.bands[-3].values.flags.writeable


def test_a_file_cut_anywhere_keeps_the_levels_that_are_whole():
    data = bitstream.encode(with_levels(2, 5, 9))
    sizes = list(bitstream.inspect(data).layer_bytes.values())[2:]
    ends = np.cumsum([len(bitstream.encode(PLAIN)), *sizes]).tolist()
    for end in range(ends[0], len(data), 7):
        payload, _ = quietly_decoded(data[:end])
        assert payload == with_levels(*[2, 5, 9][: sum(place <= end for place in ends[1:])])


def test_a_damaged_level_costs_the_higher_ones():
    data = bytearray(bitstream.encode(with_levels(2, 5, 9)))
    data[-bitstream.inspect(bytes(data)).layer_bytes["detail 9"] - 1] ^= 1  # the last byte of level 5
    payload, messages = quietly_decoded(bytes(data))
    assert payload == with_levels(2)
    assert "type 13" in messages[0] and "detail 9 is built on layer type 13, which is not there" in messages[0]


def test_levels_without_those_they_were_built_on_are_left_out():
    data = bitstream.encode(with_levels(2, 5, 9))
    sizes = bitstream.inspect(data).layer_bytes
    start = len(bitstream.encode(PLAIN))
    payload, messages = quietly_decoded(data[:start] + data[start + sizes["detail 2"] :])
    assert payload == PLAIN and len(messages) == 1
    nine = data[-sizes["detail 9"] :]
    other = bitstream.encode(with_levels(2, 5, 7))
    payload, messages = quietly_decoded(other + nine)  # level 9 over level 5, in a file that holds level 7
    assert payload == with_levels(2, 5, 7) and "not built on the level below it" in messages[0]


def test_thinning_drops_what_is_built_on_a_dropped_level():
    data = bitstream.encode(with_levels(2, 5, 9))
    assert bitstream.thin(data, drop={FIRST_KIND + 9}) == bitstream.encode(with_levels(2, 5))
    assert bitstream.thin(data, drop={FIRST_KIND + 5}) == bitstream.encode(with_levels(2))


def test_what_is_no_ladder_is_not_written():
    other = exact_state(picture(1), PLAIN.color_map)
    mixed = (DetailLevel(FIRST_KIND + 9, STATE), DetailLevel(FIRST_KIND + 12, other))
    with pytest.raises(ValueError, match="`layers` must refine each other"):
        bitstream.encode(replace(PLAIN, layers=mixed))
    with pytest.raises(ValueError, match="`layers` must hold detail of a 80×45 picture, got level 3 of 70×45"):
        bitstream.encode(replace(with_levels(3), width=80))


class Scripted(detail_probability.EncodingDecider):
    """Writes what no picture has: whether each batch is answered with yes is for `says` to say."""

    def __init__(self, says):
        super().__init__()
        self._says = says

    def expect(self, num_decisions):
        if num_decisions > 1_000_000:
            raise StopIteration

    def weigh(self, groups):
        self._name = groups[0][0][0][0]
        return super().weigh(groups)

    def answer(self, weighed, truth):
        bits = np.full(len(weighed), self._says(self._name, len(weighed)))
        return super().answer(weighed, bits)


def scripted_body(level, height, width, says):
    decider = Scripted(says)
    for name, shape, num_bits in (("kind", (1,), 2), ("filters", (3, 2, 2), 3), ("mixes", (2, 3), 4)):
        for place in np.ndindex(shape):
            detail._code_number(decider, name, place, num_bits, 0)
    bands = list(nothing_known(height, width, PLAIN.color_map).bands)
    try:
        PlaneCoder(
            bands, decider, detail_probability.load_detail_tables()["weights"], None, lambda bands: []
        ).code_level(level)
    except StopIteration:
        pass
    return decider.encoder.finish()


@pytest.mark.parametrize("yes", [["start"], ["start", "block_place"]])
def test_started_bands_and_active_blocks_hold_something(yes):
    body = scripted_body(2, HEIGHT, WIDTH, lambda name, _: name in yes)
    detail.decode_level(body, 2, nothing_known(HEIGHT, WIDTH, PLAIN.color_map))  # the coder itself takes it
    with pytest.raises(bitstream.CorruptSectionError, match="where it has none"):
        detail_levels.DETAIL_LEVELS[2].decode(body, bitstream.DecodedLayers(WIDTH, HEIGHT, PLAIN.labels, PLAIN.color))


def test_a_few_bytes_that_start_the_largest_band_of_a_huge_picture_cost_little():
    side = 60_000
    num_coarser = 12 * (
        len(nothing_known(side, side, PLAIN.color_map).bands) - 9
    )  # decisions that bands of other scales are empty
    num_starts = 0

    def says(name, _):
        nonlocal num_starts
        num_starts += name == "start"
        return name == "start" and num_starts > num_coarser

    body = scripted_body(15, side, side, says)
    assert len(body) < 300
    data = bitstream.encode(replace(PLAIN, width=side, height=side)) + write_layer(FIRST_KIND + 15, body)
    tracemalloc.start()
    start = time.perf_counter()
    payload, messages = quietly_decoded(data)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert payload.layers == () and "too few bytes" in messages[0]
    assert peak < 50e6 and seconds < 2


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_thinning_commutes(data):
    content = bitstream.encode(with_levels(2, 5, 9)) + write_layer(100, b"unknown")
    smallest = len(bitstream.encode(PLAIN))
    amount = st.one_of(
        st.fixed_dictionaries({"max_bytes": st.integers(smallest, len(content) + 9)}),
        st.fixed_dictionaries({"num_levels": st.integers(0, 4)}),
    )
    first, second = data.draw(amount), data.draw(amount)
    if first.keys() == second.keys():
        name = next(iter(first))
        least = {name: min(first[name], second[name])}
        assert bitstream.thin(bitstream.thin(content, **first), **second) == bitstream.thin(content, **least)
    thinned = bitstream.thin(content, **first)
    assert len(thinned) <= first.get("max_bytes", len(content))
    assert bitstream.encode(bitstream.decode(thinned, strict=True)) == thinned


@pytest.mark.parametrize("seed", range(12))
def test_a_level_that_breaks_off_leaves_those_below_as_they_were(seed):
    generator = np.random.default_rng(seed)
    whole, lower = bitstream.encode(with_levels(4, 9, 12)), bitstream.encode(with_levels(4, 9))
    body = bytearray(whole[len(lower) + 5 :])  # after kind, length of two bytes and checksum
    body[int(generator.integers(len(body) // 2, len(body)))] ^= 1 << int(generator.integers(8))
    decoded, notes = quietly_decoded(lower + write_layer(FIRST_KIND + 12, bytes(body)))
    assert notes and decoded == with_levels(4, 9)
    assert not decoded.layers[1].finest.bands[-3].values.flags.writeable


def with_part(level, num_bands, *below):
    before = below[-1] if below else None
    part = DetailLevel(FIRST_KIND + level, partly(STATE, level, num_bands, before), num_bands=num_bands)
    return with_levels(*below).with_layers(part)


@pytest.mark.parametrize("below", [(), (2,), (0, 3)])
def test_a_file_may_end_within_a_level(below):
    sizes, errors = [], []
    num_all = len(STATE.bands)
    for num_bands in range(1, num_all, 5):
        payload = with_part(9, num_bands, *below)
        data = bitstream.encode(payload)
        decoded = bitstream.decode(data, strict=True)
        assert decoded == payload and bitstream.encode(decoded) == data
        assert decoded.layers[-1].num_bands == num_bands and decoded != with_levels(*below, 9)
        sizes.append(len(data))
        errors.append(np.square(likeness(decoded.layers[-1].state).astype(float) - picture()).mean())
    whole = with_levels(*below, 9)
    assert sizes == sorted(sizes) and sizes[-1] < len(bitstream.encode(whole)) + 3
    assert errors[-1] < errors[0]


def test_nothing_is_built_on_a_part():
    part = with_part(6, 10, 3)
    with pytest.raises(ValueError, match="detail 9 after a part of detail 6"):
        bitstream.encode(part.with_layers(DetailLevel(FIRST_KIND + 9, STATE)))
    whole, lower = bitstream.encode(with_levels(3, 6, 9)), bitstream.encode(with_levels(3, 6))
    decoded, notes = quietly_decoded(bitstream.encode(part) + whole[len(lower) :])
    assert decoded == part and "not built on the level below" in notes[0]


def test_levels_tell_their_psnr():
    layers = [DetailLevel(FIRST_KIND + 4, STATE), DetailLevel(FIRST_KIND + 9, STATE, psnr_halves=71)]
    payload = replace(PLAIN, layers=tuple(layers))
    data = bitstream.encode(payload)
    assert bitstream.decode(data, strict=True) == payload != with_levels(4, 9)
    assert len(data) == len(bitstream.encode(with_levels(4, 9))) + 3
    assert bitstream.inspect(data).level_psnr_db == {"detail 9": 35.5}
    assert bitstream.inspect(bitstream.encode(with_levels(4, 9))).level_psnr_db == {}


@pytest.mark.parametrize(
    "head", [b"", b"\x0f", b"\x0f\x00", b"\x0f\x04", b"\x0f\x04\x00", b"\x0f\x04\x80", b"\x0f\x08\x00", b"\x0f\x10"]
)
def test_heads_that_no_encoder_writes_are_rejected(head):
    stream = bitstream.encode(with_levels(5))[len(bitstream.encode(PLAIN)) + 5 :]
    for body in (head, head + stream if head else b""):
        decoded, notes = quietly_decoded(bitstream.encode(PLAIN) + write_layer(FIRST_KIND + 5, body))
        assert decoded == PLAIN and notes
    too_many = b"\x0f\x08" + bytes([len(STATE.bands)]) + stream
    decoded, notes = quietly_decoded(bitstream.encode(PLAIN) + write_layer(FIRST_KIND + 5, too_many))
    assert decoded == PLAIN and "more bands than there are" in notes[0]


@pytest.mark.parametrize(
    ("field", "value"), [("psnr_halves", 128), ("psnr_halves", -1), ("num_bands", 0), ("num_bands", 999)]
)
def test_what_a_level_cannot_tell_is_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}`"):
        DetailLevel(FIRST_KIND + 4, STATE, **{field: value})
