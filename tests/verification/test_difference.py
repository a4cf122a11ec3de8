import numpy as np
import pytest

from edgekit.runtime.interpreter import TensorInfo
from edgekit.verification.difference import LIMITS, difference, real_of

ONES = (np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]),)


def moved(by: float) -> tuple[np.ndarray, ...]:
    return (ONES[0] + np.array([[by, 0, 0], [0, 0, 0]]),)


def test_equal_and_apart() -> None:
    same = difference(ONES, ONES, (1 / 256,))
    assert (same.bit_equal, same.max_abs, same.max_steps, same.agreement) == (True, 0.0, 0.0, 1.0)
    apart = difference(ONES, moved(-2 / 256), (1 / 256,))
    assert not apart.bit_equal and apart.max_steps == 2.0 and apart.agreement == 1.0
    assert apart.max_relative == pytest.approx(2 / 256 / 0.8)
    assert difference(ONES, moved(-0.3), (None,)).agreement == 0.5
    assert difference(ONES, moved(-0.3), (None,)).max_steps is None


def test_what_is_not_finite_has_no_figures() -> None:
    broken = (np.full((2, 3), np.nan),)
    found = difference(ONES, broken, (None,))
    assert (found.max_abs, found.agreement, found.bit_equal) == (None, None, False)
    assert LIMITS["float32", "cpu"].broken(found) == "outputs are not finite"
    assert difference(broken, broken, (None,)).bit_equal


def test_one_score_is_two_classes_and_no_scores_are_none() -> None:
    single = (np.array([[0.4], [0.9]]),)
    assert difference(single, (np.array([[0.6], [0.9]]),), (None,)).agreement == 0.5
    assert difference((*ONES, *ONES), (*ONES, *ONES), (None, None)).agreement is None


def test_limits() -> None:
    steps = LIMITS["int8", "cpu"]
    near, far = (difference(ONES, moved(-n / 256), (1 / 256,)) for n in (10, 11))
    assert steps.broken(near) == "" and "11 steps apart, limit 10" in steps.broken(far)
    assert steps.broken(far, score_steps=3) == "" and "before the last softmax" in steps.broken(near, score_steps=11)
    floats = LIMITS["float32", "cpu"]
    assert floats.broken(difference(ONES, moved(-1e-5), (None,))) == ""
    assert "of the largest output apart" in floats.broken(difference(ONES, moved(-1e-3), (None,)))


def test_every_kind_of_file_has_its_limits() -> None:
    from edgekit.measurement.gpu import TOLERANCES

    assert {kind for kind, _ in LIMITS} == set(TOLERANCES) and len(LIMITS) == 2 * len(TOLERANCES)
    assert all(limit.why.endswith(".") for limit in LIMITS.values())


def test_codes_become_real_values() -> None:
    info = TensorInfo("y", (1, 2), "int8", 0.5, -1)
    assert np.array_equal(real_of((np.array([[1, -1]], np.int8),), (info,))[0], [[1.0, 0.0]])
    assert np.array_equal(real_of((np.array([[0.5, 0.0]], np.float32),), (info,))[0], [[0.5, 0.0]])  # MediaPipe's
