"""Merged classes, and islands that take the label around them."""

import time

import numpy as np

from sgc_diffusion.analysis.simplification import drop_islands, merge_classes


def test_islands_take_the_label_around_them():
    label_map = np.full((5, 5), 3, np.uint8)
    label_map[2, 2], label_map[0, 3:] = 7, 9
    assert (drop_islands(label_map, 2) == 3).sum() == 23
    assert (drop_islands(label_map, 3) == 3).all()
    assert np.array_equal(drop_islands(label_map, 1), label_map)


def test_an_island_among_islands_waits_for_its_neighbors():
    label_map = np.full((7, 7), 3, np.uint8)
    label_map[2:5, 2:5] = [[1, 2, 1], [2, 5, 2], [1, 2, 1]]  # the 5 touches islands alone
    assert (drop_islands(label_map, 2) == 3).all()


def test_the_longer_border_wins_and_ties_go_to_the_smallest_id():
    assert drop_islands(np.array([[6, 6, 9, 4, 4]], np.uint8), 2).tolist() == [[6, 6, 4, 4, 4]]
    label_map = np.array([[6, 6, 6], [6, 9, 4], [6, 4, 4]], np.uint8)
    assert drop_islands(np.where(label_map == 4, 2, label_map), 2)[1, 1] == 2  # two sides each
    label_map[2, 1] = 6
    assert drop_islands(label_map, 2)[1, 1] == 6


def test_a_map_of_nothing_but_islands_stays():
    label_map = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert np.array_equal(drop_islands(label_map, 4), label_map)


def test_regions_that_meet_at_a_corner_are_two():
    label_map = np.full((4, 4), 3, np.uint8)
    label_map[1, 1] = label_map[2, 2] = 8
    assert (drop_islands(label_map, 2) == 3).all()


def test_noise_of_full_size_is_quick():
    noise = np.random.default_rng(0).integers(0, 24, (128, 128), dtype=np.uint8)
    started = time.process_time()
    result = drop_islands(noise, 4)
    assert time.process_time() - started < 0.5  # one dilation of the whole map an island took 3 s
    assert (result != noise).mean() > 0.5


def test_merged_classes_take_the_id_of_the_most_frequent():
    label_map = np.array([[4, 4, 8], [1, 1, 4]], np.uint8)  # tree and grass are vegetation
    assert merge_classes(label_map, "landscape-24", "landscape-8").tolist() == [[4, 4, 4], [1, 1, 4]]
