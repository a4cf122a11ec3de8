import numpy as np
import pytest
from scipy.stats import t, ttest_ind

from edgekit.measurement.compare import NONE_FOUND, Comparison, compare_apart, compare_pairs, student


def processes(generator, count, median=1e6, spread=0.01, pace=None):
    """`spread` between processes, 2 % within; `pace` is how slow the machine was in each."""
    slow = np.exp(generator.normal(0, spread, count)) * (1 if pace is None else pace)
    return [(median * one * generator.lognormal(0, 0.02, 100)).astype(int).tolist() for one in slow]


def test_students_quantile_is_scipys():
    for degrees in (1, 2, 3, 4, 7, 9, 10, 29, 60):
        for confidence in (0.95, 0.999):
            assert student(confidence, degrees) == pytest.approx(t.ppf((1 + confidence) / 2, degrees), rel=1e-6)


def test_the_interval_is_students_over_the_pairs():
    generator = np.random.default_rng(0)
    ours, theirs = processes(generator, 12, 1.1e6), processes(generator, 12)
    logs = np.log([np.median(one) for one in ours]) - np.log([np.median(one) for one in theirs])
    half = t.ppf(0.9995, 11) * logs.std(ddof=1) / np.sqrt(12)
    found = compare_pairs("b", ours, "a", theirs)
    assert (found.file, found.reference, found.n, found.verdict) == ("b", "a", 12, "slower")
    assert found.ratio == pytest.approx(np.exp(logs.mean()))
    # A little wider than Student's alone: the runs of a process are drawn too.
    assert np.log(found.interval[1] / found.ratio) == pytest.approx(half, rel=0.15)
    assert found == compare_pairs("b", ours, "a", theirs)
    assert compare_pairs("a", theirs, "b", ours).verdict == "faster"


def test_the_interval_of_two_times_is_welchs():
    generator = np.random.default_rng(1)
    ours, before = processes(generator, 10, 1.1e6, 0.02), processes(generator, 6)
    logs = [np.log([np.median(one) for one in side]) for side in (ours, before)]
    expected = ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    found = compare_apart("b", ours, "a", before, 0.95)
    assert np.log(found.interval) == pytest.approx((expected.low, expected.high), abs=0.002)  # whole degrees of freedom


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_what_is_alike_is_not_called_different_and_ten_percent_is_found(spread):
    """The machine drifts by 20 % from pair to pair: it meets both files."""
    generator = np.random.default_rng(2)
    same, slower = [], []
    for _ in range(60):
        pace = np.exp(generator.normal(0, 0.2, 20))
        first, copy, wide = (processes(generator, 20, m, spread, pace) for m in (1e6, 1e6, 1.1e6))
        same.append(compare_pairs("b", copy, "a", first).verdict)
        slower.append(compare_pairs("b", wide, "a", first).verdict)
    assert same.count(NONE_FOUND) == 60 and slower.count("slower") >= 59


def test_less_than_two_percent_is_no_difference_however_sure():
    assert Comparison("b", "a", 1.019, (1.015, 1.023), 30).verdict == NONE_FOUND
    assert Comparison("b", "a", 0.979, (0.975, 0.983), 30).verdict == "faster"
    assert Comparison("b", "a", 1.2, (0.99, 1.4), 30).verdict == NONE_FOUND


def test_two_pairs_that_disagree_wildly_have_no_interval():
    """Student's factor for two pairs is 636: that times a few units of log ratio is beyond any float."""
    found = compare_pairs("b", [[1000, 1000], [50_000, 50_000]], "a", [[1000, 1000], [1000, 1000]])
    assert (found.interval, found.verdict, found.settled) == (None, "no difference found", False)
    assert compare_apart("b", [[1000, 1000], [50_000, 50_000]], "a", [[1000, 1000], [1001, 1001]]).interval is None


def test_settled_is_narrow_or_far_from_what_counts():
    assert Comparison("b", "a", 1.0, (0.985, 1.015), 10).settled
    assert Comparison("b", "a", 1.3, (1.1, 1.5), 10).settled and Comparison("b", "a", 0.7, (0.6, 0.8), 10).settled
    assert not Comparison("b", "a", 1.05, (1.01, 1.09), 10).settled
    assert not Comparison("b", "a", 1.0, None, 1).settled


def test_one_pair_has_no_interval():
    for found in (compare_pairs("b", [[2, 2]], "a", [[1, 1]]), compare_apart("b", [[2, 2]], "a", [[1, 1]])):
        assert (found.ratio, found.interval, found.verdict) == (2.0, None, NONE_FOUND)
    with pytest.raises(ValueError, match="2 processes against 1"):
        compare_pairs("b", [[1], [1]], "a", [[1]])
