import itertools

import numpy as np
import pytest
from PIL import Image

from sgc_diffusion.training.data import PhotoCache, build_cache, has_frame, is_gray, shuffled_batches


def test_cache_gives_back_what_the_shards_hold(tmp_path, landscape, write_shard):
    photos = {f"key-{index}": landscape(60 + index, 40, seed=index) for index in range(3)}
    labels = {key: Image.fromarray(np.full((20, 30), index, np.uint8)) for index, key in enumerate(photos)}
    members = {f"{key}.webp": photo for key, photo in photos.items()}
    write_shard(tmp_path / "train-0.tar", members | {f"{key}.png": label for key, label in labels.items()})
    table = np.arange(256, dtype=np.uint8) + 5
    build_cache([tmp_path / "train-0.tar"], tmp_path / "cache", table)
    cache = PhotoCache(tmp_path / "cache")
    assert list(cache.keys) == list(photos)
    for index, photo in enumerate(photos.values()):
        assert np.array_equal(cache.photo(index), np.asarray(photo))
        assert np.array_equal(cache.label_map(index), np.full((20, 30), index + 5))


def test_photograph_without_labels_is_an_error(tmp_path, landscape, write_shard):
    write_shard(tmp_path / "train-0.tar", {"a.webp": landscape(32, 32)})
    with pytest.raises(ValueError, match=r"a\.png"):
        build_cache([tmp_path / "train-0.tar"], tmp_path / "cache", np.arange(256, dtype=np.uint8))


def test_gray_and_framed_pictures_are_left_out(landscape):
    photo = np.asarray(landscape(64, 64))
    framed = photo.copy()
    framed[:8] = framed[-8:] = 0
    assert not has_frame(photo) and not is_gray(photo)
    assert is_gray(np.repeat(photo[..., :1], 3, axis=2))
    assert has_frame(framed)


def test_batches_cover_each_epoch_and_resume_anywhere():
    batches = list(itertools.islice(shuffled_batches(10, 3, seed=1), 6))
    assert len(set(np.concatenate(batches[:3]))) == 9
    assert not np.array_equal(batches[0], batches[3])
    for step in range(6):
        assert np.array_equal(next(shuffled_batches(10, 3, seed=1, first_step=step)), batches[step])
    with pytest.raises(ValueError, match="`batch_size`"):
        next(shuffled_batches(2, 3, seed=1))
