"""What a batch holds follows from seed, epoch and number alone."""

from __future__ import annotations

import numpy as np

from edgekit.data.images import normalize
from edgekit.train_config import Augment
from edgekit.training.augment import Augmenter
from edgekit.training.batches import PlainBatches, Remembering, TrainBatches, class_weights, stream
from tests.training import small


def epoch(seed: int = 0, number: int = 0, augment: Augment | None = None) -> list[tuple[np.ndarray, ...]]:
    split = small.digits().train
    batches = TrainBatches(split, 20, Augmenter(augment or Augment()), np.ones(10, np.float32), seed, number)
    return [batches[i] for i in range(len(batches))]


def test_an_epoch_shows_every_image_once_in_batches_of_nearly_equal_size() -> None:
    split, batches = small.digits().train, epoch()
    assert [len(images) for images, _, _ in batches] == [20, 19, 19, 19, 19]
    images = np.concatenate([b[0] for b in batches])
    assert images.dtype == np.float32
    whole = normalize(split.read(range(len(split))), split.preprocess)
    assert sorted(x.tobytes() for x in images) == sorted(x.tobytes() for x in whole)


def test_order_and_augmentation_repeat_and_differ_between_epochs_and_seeds() -> None:
    augment = Augment(shift=0.2, mixup=0.2)
    first, again = epoch(1, 2, augment), epoch(1, 2, augment)
    for a, b in zip(first, again, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    for other in (epoch(1, 3, augment), epoch(2, 2, augment)):
        assert (other[0][0] != first[0][0]).any()


def test_validation_is_in_order_and_unchanged() -> None:
    """R11."""
    split = small.digits().val
    batches = PlainBatches(split, 16, 10)
    parts = [batches[i] for i in range(len(batches))]
    images, labels = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    np.testing.assert_array_equal(images, normalize(split.read(range(len(split))), split.preprocess))
    np.testing.assert_array_equal(labels.argmax(1), split.labels)


def test_remembered_images_are_decoded_once_and_the_others_each_time() -> None:
    split, reads = small.digits().train, list[list[int]]()

    class Counting:
        labels, class_names, preprocess = split.labels, split.class_names, split.preprocess

        def __len__(self) -> int:
            return len(split)

        def read(self, rows: np.ndarray) -> np.ndarray:
            reads.append([int(row) for row in rows])
            return split.read(rows)

    memory = Remembering(Counting(), limit=10 * 8 * 8 * 3)
    for rows in ([1, 50, 3], [3, 4, 50, 1], [1, 3, 4]):
        np.testing.assert_array_equal(memory.read(np.array(rows)), split.read(rows))
    assert reads == [[1, 50, 3], [4, 50]]


def test_balanced_class_weights() -> None:
    """R16: n / (classes * images of the class); a class without images takes no part."""
    labels = np.array([0] * 6 + [1] * 3 + [3] * 3)
    weights = class_weights(labels, 4, "balanced")
    np.testing.assert_allclose(weights, [12 / 18, 12 / 9, 0, 12 / 9], rtol=1e-6)
    np.testing.assert_allclose(weights[labels].sum(), 12, rtol=1e-6)
    np.testing.assert_array_equal(class_weights(labels, 4, "none"), np.ones(4))


def test_class_weights_follow_mixed_labels() -> None:
    split = small.digits().train
    weights = np.arange(10, dtype=np.float32)
    batches = TrainBatches(split, 32, Augmenter(Augment(mixup=1.0)), weights, 0, 0)
    _, labels, used = batches[0]
    np.testing.assert_allclose(used, labels @ weights, rtol=1e-6)


def test_fit_is_fed_the_very_batches_without_a_thread_that_tunes() -> None:
    """At the end of one that is tuned TensorFlow waits, for as long as it took at worst."""
    split = small.digits().train
    plain = PlainBatches(split, 40, 10)
    fed = stream(plain)
    assert fed.options().autotune.enabled is False
    assert int(fed.cardinality()) == len(plain)
    for _ in range(2):
        given = [tuple(map(np.asarray, batch)) for batch in fed]
        for number, batch in enumerate(given):
            for ours, theirs in zip(batch, plain[number], strict=True):
                np.testing.assert_array_equal(ours, theirs)
