"""The splits are disjoint by pixels whatever comes in, and calibration is a part of train (R39, R17)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.data.calibration import choose
from edgekit.data.divide import cut, divide
from edgekit.data.pixels import Arrays, hash_arrays
from edgekit.data.split import Split
from edgekit.errors import EdgekitWarning, UsageError
from edgekit.preprocess import preset

CLASSES = ("a", "b", "c")


def made(values: list[int], labels: list[int], name: str = "all") -> Split:
    """One 1x1 gray image for each value: equal values are identical images."""
    pixels = Arrays(np.array(values, np.uint8).reshape(-1, 1, 1))
    names = tuple(f"{name}/{i}" for i in range(len(values)))
    hashes = hash_arrays(pixels).astype("S64")
    return Split(name, CLASSES, np.array(labels, np.int64), names, hashes, pixels, preset("raw", 1, 1))


def values(split: Split) -> list[int]:
    return split.pixels.images.reshape(-1).tolist()


IMAGES = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=120)


@settings(max_examples=150, deadline=None)
@given(IMAGES)
def test_a_cut_loses_nothing_and_never_parts_identical_images(images: list[tuple[int, int]]) -> None:
    whole = made([v for v, _ in images], [label for _, label in images])
    parts = divide({"all": whole})
    assert sorted(name for split in parts.values() for name in split.names) == sorted(whole.names)
    seen = [set(values(split)) for split in parts.values()]
    assert sum(len(s) for s in seen) == len(set.union(*seen))
    assert {name: split.name for name, split in parts.items()} == {n: n for n in ("train", "val", "test")}
    lookup = dict(zip(whole.names, images, strict=True))
    for split in parts.values():
        assert [lookup[n] for n in split.names] == list(zip(values(split), split.labels.tolist(), strict=True))


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 256))
def test_without_duplicates_the_sizes_are_exact_and_none_is_empty(n: int) -> None:
    parts = divide({"all": made(list(range(n)), [i % 3 for i in range(n)])})
    test, val = -(-n * 20 // 100), -(-n * 10 // 100)
    assert {name: len(split) for name, split in parts.items()} == {"train": n - test - val, "val": val, "test": test}


@settings(max_examples=100, deadline=None)
@given(IMAGES, st.randoms())
def test_order_does_not_matter_but_for_duplicates_of_another_class(
    images: list[tuple[int, int]], random: object
) -> None:
    images = list(dict(images).items())
    shuffled = list(images)
    random.shuffle(shuffled)
    one, other = (divide({"all": made([v for v, _ in i], [c for _, c in i])}) for i in (images, shuffled))
    assert {n: sorted(values(s)) for n, s in one.items()} == {n: sorted(values(s)) for n, s in other.items()}


def test_each_class_is_cut_in_its_share() -> None:
    parts = divide({"all": made(list(range(200)), [0] * 150 + [1] * 40 + [2] * 10)})
    assert {name: np.bincount(split.labels).tolist() for name, split in parts.items()} == {
        "train": [105, 28, 7],
        "val": [15, 4, 1],
        "test": [30, 8, 2],
    }


def test_an_image_in_train_and_test_stays_in_test_only() -> None:
    train, test = made([1, 2, 3, 4], [0, 1, 2, 0], "train"), made([3, 9], [2, 1], "test")
    val = made([4, 9, 7], [0, 1, 2], "val")
    with pytest.warns(EdgekitWarning) as caught:
        parts = divide({"train": train, "val": val, "test": test})
    assert {name: values(split) for name, split in parts.items()} == {"train": [1, 2], "val": [4, 7], "test": [3, 9]}
    assert [str(w.message) for w in caught] == [
        "1 image of val also in test, by pixels: kept in test only (first: val/1).",
        "1 image of train also in test, by pixels: kept in test only (first: train/2).",
        "1 image of train also in val, by pixels: kept in val only (first: train/3).",
    ]


def test_nothing_wanted_leaves_train_whole() -> None:
    whole = made([5, 6], [0, 1])
    assert values(cut(whole, [])["train"]) == [5, 6]


@settings(max_examples=100, deadline=None)
@given(IMAGES, st.integers(1, 120), st.integers(0, 3))
def test_r39_n_calibration_images_are_n_different_ones_evenly_over_the_classes(
    images: list[tuple[int, int]], count: int, seed: int
) -> None:
    images = list(dict(images).items())
    count = min(count, len(images))
    train = made([v for v, _ in images], [label for _, label in images])
    chosen = choose(train, count, seed)
    assert len(chosen) == count == len(set(values(chosen))) and chosen.name == "calibration"
    have, took = np.bincount(train.labels, minlength=3), np.bincount(chosen.labels, minlength=3)
    unfinished = took[took < have]  # a class gives fewer than another only when it has no more
    assert not len(unfinished) or unfinished.min() >= took.max() - 1
    assert values(choose(train, count, seed)) == values(chosen)


def test_repeated_pictures_come_last() -> None:
    train = made([1, 1, 1, 1, 2, 3], [0, 0, 0, 0, 0, 1])
    assert sorted(values(choose(train, 3))) == [1, 2, 3]


def test_too_many_and_too_few_calibration_images() -> None:
    train = made([1, 2, 3], [0, 1, 2])
    with pytest.warns(
        EdgekitWarning, match=r"^100 calibration images were asked for, there are 3: all of them are used"
    ):
        assert len(choose(train, 100)) == 3
    with pytest.raises(UsageError, match="0 calibration images are too few"):
        choose(train, 0)
