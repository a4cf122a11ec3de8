"""Confusion and the figures of classes, against scikit-learn's."""

import numpy as np
import pytest

from edgekit.evaluation.per_class import confused, confusion, figures, other_order, weak
from tests.evaluation.answers import NAMES, answering, evaluation, world


def test_figures_are_scikit_learns() -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, top_k_accuracy_score

    logits, labels = world()
    found = evaluation(logits, labels)
    assert np.array_equal(found.confusion, confusion_matrix(labels, found.predictions))
    expected = precision_recall_fscore_support(labels, found.predictions)
    frame = found.per_class()
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert frame[name].to_numpy() == pytest.approx(values), name
    for k in (1, 2, 3, 5):
        assert found.in_top(k).mean() == pytest.approx(top_k_accuracy_score(labels, found.scores, k=k))
    assert found.top(8) is None and found.top(3).value == found.in_top(3).mean()


def test_classes_without_images_and_without_answers() -> None:
    found = answering(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 2]), class_names=NAMES[:3])
    a, b, c = found.classes
    assert (a.precision, a.recall, a.f1) == (1, 1, 1)
    assert (b.precision, b.recall, b.f1) == (None, 0, 0)
    assert (c.precision, c.recall, c.f1) == (0.5, 1, pytest.approx(2 / 3))
    missing = figures(np.array([[2, 0], [0, 0]]), ("a", "b"))[1]
    assert (missing.recall, missing.f1, missing.to_json()["ci95"]) == (None, None, None)


def test_classes_below_70_percent_are_named_the_weakest_first() -> None:  # R36
    matrix = np.array([[69, 31, 0], [0, 70, 30], [50, 0, 50]])
    assert [one.name for one in weak(figures(matrix, ("a", "b", "c")))] == ["c", "a"]


def test_the_most_confused_pairs_come_first() -> None:
    matrix = np.array([[5, 1, 0], [4, 5, 0], [0, 2, 5]])
    pairs = [(one.label, one.prediction, one.n) for one in confused(matrix, ("a", "b", "c"))]
    assert pairs == [("b", "a", 4), ("c", "b", 2), ("a", "b", 1)]


def test_the_most_confident_errors_come_first() -> None:
    logits, labels = world(500)
    found = evaluation(logits, labels)
    worst = found.confident_errors(7)
    assert len(worst) == 7 and not found.correct[worst].any()
    assert found.confidence[worst].tolist() == sorted(found.confidence[~found.correct], reverse=True)[:7]


def permuted(order: list[int], noise: float = 0.2) -> np.ndarray:
    """The confusion matrix of a model that is right 1 - noise of the time, with labels in another order."""
    generator = np.random.default_rng(0)
    truth = np.arange(600) % len(order)
    answers = np.where(generator.random(600) < noise, generator.integers(0, len(order), 600), truth)
    return confusion(np.array(order)[truth], answers, len(order))


def test_classes_in_another_order_are_found_and_said() -> None:
    names = ("cat", "dog", "owl", "rat")
    found = other_order(permuted([1, 2, 3, 0]), names)
    assert found is not None and found.taken_for == {"cat": "rat", "dog": "cat", "owl": "dog", "rat": "owl"}
    assert 0.8 < found.fits.value < 0.9 and found.fits.n == 600
    swapped = other_order(permuted([0, 2, 1, 3]), names)
    assert swapped is not None and swapped.taken_for == {"dog": "owl", "owl": "dog"}


def test_chance_and_a_weak_model_are_no_other_order() -> None:
    names = ("cat", "dog", "owl", "rat")
    assert other_order(permuted([0, 1, 2, 3]), names) is None
    assert other_order(permuted([1, 2, 3, 0], noise=1.0), names) is None
    assert other_order(np.array([[1, 9], [1, 9]]), ("a", "b")) is None  # both are taken for b
    assert other_order(np.array([[0, 2], [2, 0]]), ("a", "b")) is None  # of two images each nothing is told
