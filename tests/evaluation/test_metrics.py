import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.evaluation.metrics import agreement, in_top, predictions, softmax, sqnr_db, wilson


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(case):
    from scipy.stats import binomtest

    hits, n = case
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(6, 20))
def test_top_5_is_a_sorted_lists_first_five(seed, classes):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 6, (30, classes)).astype(np.float32)  # with many ties
    labels = generator.integers(0, classes, 30)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    assert in_top(scores, labels, 5).tolist() == [y in row[:5] for y, row in zip(labels, ranked, strict=True)]
    assert in_top(scores, labels, 1).tolist() == (predictions(scores) == labels).tolist()


def test_softmax_is_scipys():
    from scipy.special import softmax as expected

    scores = np.random.default_rng(0).normal(0, 50, (20, 7)).astype(np.float32)
    assert softmax(scores) == pytest.approx(expected(scores.astype(np.float64), axis=1))


def test_agreement_counts_equal_predictions():
    found = agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4]))
    assert (found.value, found.n, found.ci95) == (0.75, 4, wilson(3, 4))
    with pytest.raises(ValueError, match="predictions"):
        agreement(np.zeros(3), np.zeros(4))


def test_sqnr_of_a_known_noise():
    signal = np.ones(1000)
    assert sqnr_db(signal, signal + 0.1) == pytest.approx(20)
    assert sqnr_db(signal, signal) == np.inf
    assert sqnr_db(np.zeros(3), np.ones(3)) == -np.inf
