import numpy as np
import pytest

from sgc_diffusion import bitstream
from sgc_diffusion.taxonomy import load_taxonomy

KEY = bytes(range(32))


@pytest.mark.parametrize("max_bytes", [40, 75, 300])
def test_a_budget_is_kept_and_the_file_is_drawn(tiny_pipeline, landscape, max_bytes):
    data = tiny_pipeline.compress(landscape(96, 64), max_bytes=max_bytes)
    assert len(data) <= max_bytes
    assert tiny_pipeline.decompress(data, num_inference_steps=2).images[0].size == (96, 64)


def test_bits_per_pixel_are_a_budget_of_each_picture(tiny_pipeline, landscape):
    pictures = [landscape(96, 64), landscape(128, 128, seed=1)]
    files = tiny_pipeline.compress(pictures, target_bpp=0.08)
    assert all(len(data) <= 0.08 * one.width * one.height / 8 for data, one in zip(files, pictures, strict=True))
    assert tiny_pipeline.compress(pictures[0], max_bytes=int(0.08 * 96 * 64 / 8)) == files[0]


def test_sealed_files_fit_the_budget_too(tiny_pipeline, landscape):
    data = tiny_pipeline.compress(landscape(64, 64), max_bytes=90, key=KEY)
    assert len(data) <= 90
    assert tiny_pipeline.decompress(data, key=KEY, num_inference_steps=2).images[0].size == (64, 64)
    for key in (None, bytes(32)):
        with pytest.raises(bitstream.DecryptionError, match="`key`"):
            tiny_pipeline.decompress(data, key=key)


def test_a_key_changes_nothing_in_the_payload(tiny_pipeline, landscape):
    picture = landscape(64, 64)
    sealed, plain = tiny_pipeline.compress(picture, key=KEY), tiny_pipeline.compress(picture)
    assert bitstream.decode(sealed, key=KEY) == bitstream.decode(plain)


def test_a_heavy_class_is_kept_where_bytes_are_few(tiny_pipeline, landscape):
    picture = landscape(96, 96)
    names = load_taxonomy(tiny_pipeline.config.taxonomy).names
    found = tiny_pipeline.analyze(picture).label_map
    rare = int(np.bincount(found.ravel(), minlength=len(names))[np.unique(found)].argmin())
    rare = int(np.unique(found)[rare])
    counts = []
    for weight in (1.0, 50.0):
        data = tiny_pipeline.compress(picture, max_bytes=45, class_weights={names[rare]: weight})
        counts.append(float((bitstream.decode(data).label_map == rare).mean()))
    assert counts[1] > counts[0]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"max_bytes": 10}, r"`max_bytes` 10 is too few: the smallest file of this 64×64 picture takes \d+ bytes"),
        ({"max_bytes": 100, "target_bpp": 0.1}, "both given"),
        ({"max_bytes": 0}, "`max_bytes` must be an integer above 0"),
        ({"target_bpp": -1.0}, "`target_bpp` must be above 0"),
        ({"max_bytes": 99, "class_weights": {"unicorn": 2}}, "unicorn"),
        ({"max_bytes": 99, "class_weights": {"sky": -1}}, "0 or more"),
        ({"class_weights": {"sky": 2}}, "only under a budget"),
        ({"key": b"short"}, "`key` must be 32 bytes"),
    ],
)
def test_bad_budgets_and_keys(tiny_pipeline, landscape, arguments, part):
    with pytest.raises(ValueError, match=part):
        tiny_pipeline.compress(landscape(64, 64), **arguments)
