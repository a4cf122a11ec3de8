"""Augmentation: what it changes, that a seed repeats it, and that labels are mixed as images are."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.train_config import Augment
from edgekit.training.augment import Augmenter, cutmix, mixup

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
LABELS = np.eye(8, dtype=np.float32)
EVERYTHING = Augment(flip="horizontal", shift=0.2, rotation=20, zoom=0.2, brightness=0.2)


def test_nothing_asked_changes_nothing() -> None:
    assert Augmenter(Augment()).pixels(IMAGES, (0,)) is IMAGES


@pytest.mark.parametrize(
    "config",
    [
        Augment(flip="horizontal"),
        Augment(flip="vertical"),
        Augment(flip="both"),
        Augment(shift=0.25),
        Augment(rotation=30),
        Augment(zoom=0.3),
        Augment(brightness=0.3),
        EVERYTHING,
    ],
    ids=lambda config: str(config.model_dump(exclude_defaults=True)),
)
def test_a_seed_repeats_the_changes_and_another_does_not(config: Augment) -> None:
    augmenter = Augmenter(config)
    first, again = augmenter.pixels(IMAGES, (1, 2, 3)), Augmenter(config).pixels(IMAGES, (1, 2, 3))
    other = augmenter.pixels(IMAGES, (1, 2, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != IMAGES).any() and (first != other).any()
    assert first.dtype == np.uint8 and first.shape == IMAGES.shape


def test_flip_mirrors_some_images_and_leaves_the_others() -> None:
    flipped = Augmenter(Augment(flip="horizontal")).pixels(IMAGES, (0,))
    same = [(a == b).all() for a, b in zip(flipped, IMAGES, strict=True)]
    mirrored = [(a == b[:, ::-1]).all() for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(same, mirrored, strict=True)) and 0 < sum(mirrored) < len(IMAGES)


def test_shift_moves_whole_pixels_over_black_both_ways_and_no_further_than_asked() -> None:
    """Rows and columns draw their own amounts: one number for both would only move along the diagonal."""
    dot = np.zeros((64, 16, 16, 3), np.uint8)
    dot[:, 8, 8] = 200
    moved = Augmenter(Augment(shift=0.25)).pixels(dot, (0,))
    assert set(np.unique(moved)) == {0, 200}
    found = np.array([np.argwhere(image[..., 0])[0] - 8 for image in moved])
    assert len(found) == 64 and np.abs(found).max() == 4 and found.min() == -4
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.4


def test_mixup_mixes_images_and_labels_alike_with_shares_from_a_beta() -> None:
    colours = np.ones((4000, 1, 1, 4), np.float32) * np.eye(4, dtype=np.float32)[np.arange(4000) % 4][:, None, None]
    labels = np.eye(4, dtype=np.float32)[np.arange(4000) % 4]
    images, mixed = mixup(colours, labels, 0.4, np.random.default_rng(0))
    assert mixed.shape == (4000, 4) and images.dtype == mixed.dtype == np.float32
    np.testing.assert_allclose(images[:, 0, 0], mixed, atol=1e-6)
    np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-6)
    own = mixed[np.arange(4000), np.arange(4000) % 4][(mixed.max(1) < 1)]
    expected = np.random.default_rng(1).beta(0.4, 0.4, 100_000)
    assert np.quantile(own, [0.25, 0.5, 0.75]) == pytest.approx(np.quantile(expected, [0.25, 0.5, 0.75]), abs=0.06)


def test_cutmix_pastes_the_box_and_mixes_the_labels_by_its_area() -> None:
    shade = np.arange(64, dtype=np.float32)
    images = np.broadcast_to(shade[:, None, None, None], (64, 16, 16, 3)).copy()
    pasted, labels = cutmix(images, np.eye(64, dtype=np.float32), 1.0, np.random.default_rng(0))
    assert labels.shape == (64, 64)
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-6)
    for i in range(64):
        shares = {int(value): float((pasted[i, ..., 0] == value).mean()) for value in np.unique(pasted[i])}
        for value, share in shares.items():
            assert labels[i, value] == pytest.approx(share, abs=1e-6)
        other = (pasted[i, ..., 0] != i).nonzero()
        if len(other[0]):  # one full rectangle
            height, width = np.ptp(other[0]) + 1, np.ptp(other[1]) + 1
            assert height * width == len(other[0])
    assert (labels.max(1) < 1).sum() > 30


@pytest.mark.parametrize("config", [Augment(mixup=0.2), Augment(cutmix=1.0), Augment(mixup=0.2, cutmix=1.0)])
def test_mixing_is_repeated_by_its_seed(config: Augment) -> None:
    images = IMAGES.astype(np.float32)
    first, again, other = (Augmenter(config).mixed(images, LABELS, (0, n)) for n in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any() and first[1].shape == (8, 8)


def test_both_flips_are_drawn_apart() -> None:
    images = np.random.default_rng(1).integers(0, 256, (200, 9, 12, 3), np.uint8)
    flipped = Augmenter(Augment(flip="both")).pixels(images, (3,))
    ways = [images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
    kinds = np.array([(way == flipped).all((1, 2, 3)) for way in ways])
    assert (kinds.sum(0) == 1).all() and kinds.sum(1).min() >= 30


def test_a_shift_moves_the_whole_image_and_each_side_by_a_fraction_of_its_own() -> None:
    images = np.random.default_rng(1).integers(1, 256, (200, 9, 12, 3), np.uint8)
    found = set()
    for image, moved in zip(images, Augmenter(Augment(shift=0.3)).pixels(images, (3,)), strict=True):
        left, top = (int(np.flatnonzero(moved.any(axis=(axis, 2)))[0]) for axis in (0, 1))
        right, bottom = (int(np.flatnonzero(moved.any(axis=(axis, 2)))[-1]) + 1 for axis in (0, 1))
        down, across = top or bottom - 9, left or right - 12
        np.testing.assert_array_equal(
            moved[top:bottom, left:right], image[top - down : bottom - down, left - across : right - across]
        )
        found.add((down, across))
    assert {down for down, _ in found} == set(range(-3, 4)) and {across for _, across in found} == set(range(-4, 5))
