"""What a difference of two accuracies on the same images is worth."""

import pytest


def test_the_exact_test() -> None:
    """By hand: of n disagreements each is a fair coin's; both tails, so never more than 1."""
    from paired import mcnemar

    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(1, 7) == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(300, 400) == pytest.approx(0.00017, rel=0.1)
