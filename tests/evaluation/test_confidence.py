import math

import numpy as np
import pytest

from edgekit.evaluation.confidence import expected_loss, probabilities
from edgekit.evaluation.metrics import softmax


def world(images: int, classes: int = 5, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits that are right as often as they say, labels drawn from them, and what a noisier network answers."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (images, classes))
    labels = np.array([rng.choice(classes, p=one) for one in softmax(logits)])
    return logits, labels, (logits + rng.normal(0, noise, logits.shape)).argmax(axis=1)


def test_the_expected_loss_is_the_counted_one_with_less_chance_in_it() -> None:
    logits, labels, answers = world(200_000)
    counted = 100 * ((logits.argmax(axis=1) == labels) * 1.0 - (answers == labels))
    expected = expected_loss(softmax(logits), answers)
    assert abs(counted.mean() - expected.points) < 2 * counted.std() / math.sqrt(len(labels))
    chance = 1.645 * counted.std() / math.sqrt(len(labels))
    assert 0 < expected.most - expected.points < chance / 4


def test_the_same_answers_lose_nothing() -> None:
    believed = softmax(world(50)[0])
    found = expected_loss(believed, believed.argmax(axis=1))
    assert (found.points, found.most) == (0, 0)


def test_one_other_answer_loses_the_difference() -> None:
    believed = np.array([[0.6, 0.4], [0.9, 0.1]])
    found = expected_loss(believed, np.array([1, 0]))
    assert found.points == 10 and found.most == pytest.approx(10 + 1.6449 * 10 / math.sqrt(2), abs=1e-3)


def test_labels_undo_too_much_confidence() -> None:
    logits, labels, answers = world(20_000)
    sure = softmax(4 * logits)
    honest, boastful = (expected_loss(one, answers).points for one in (softmax(logits), sure))
    assert boastful > 2 * honest
    assert expected_loss(probabilities(sure, labels), answers).points == pytest.approx(honest, rel=0.1)


def test_logits_and_probabilities_say_the_same() -> None:
    logits, labels, _ = world(2000)
    np.testing.assert_allclose(probabilities(logits), softmax(logits), atol=1e-9)
    np.testing.assert_allclose(probabilities(softmax(logits)), softmax(logits), atol=1e-9)
    np.testing.assert_allclose(probabilities(logits, labels), probabilities(softmax(logits), labels), atol=1e-9)
