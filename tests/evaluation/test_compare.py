"""Paired comparison against statsmodels and scipy, on raw results."""

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.evaluation.compare import compare, mcnemar, paired_ci95
from tests.evaluation.answers import answering, evaluation, world


@pytest.mark.parametrize("counts", [(0, 0), (3, 3), (5, 0), (1, 7), (9, 15), (10, 16), (300, 400), (40, 12)])
def test_mcnemar_is_statsmodels(counts: tuple[int, int]) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as expected

    gained, lost = counts
    exact = gained + lost < 25
    wanted = expected([[100, lost], [gained, 50]], exact=exact, correction=True)
    found = mcnemar(gained, lost)
    assert found.p_value == pytest.approx(wanted.pvalue, rel=1e-9) and found.test == ("exact" if exact else "chi2")
    assert exact or found.statistic == pytest.approx(wanted.statistic)


def test_as_many_gained_as_lost_is_no_difference() -> None:
    assert mcnemar(50, 50).p_value == 1.0  # the correction takes nothing from nothing


def test_wilson_is_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    logits, labels = world()
    found = evaluation(logits, labels)
    assert found.ci95 == pytest.approx(proportion_confint(int(found.correct.sum()), found.n, method="wilson"))


def test_the_paired_interval_is_near_a_bootstrap() -> None:
    from scipy.stats import bootstrap

    logits, labels = world(2000)
    first = evaluation(logits, labels)
    other = evaluation(logits + np.random.default_rng(1).normal(0, 1, logits.shape), labels)
    found = compare(first, other)
    change = other.correct.astype(int) - first.correct
    assert found.difference == pytest.approx(change.mean())
    drawn = bootstrap((change,), np.mean, n_resamples=2000, rng=0, method="percentile").confidence_interval
    assert found.ci95 == pytest.approx((drawn.low, drawn.high), abs=0.003)


def test_the_paired_interval_by_hand() -> None:
    """Bonett and Price: Wald's interval of the counts with one more image gained and one more lost."""
    up, down, n = 8 / 23, 2 / 23, 23
    half = 1.959964 * np.sqrt((up + down - (up - down) ** 2) / n)
    assert paired_ci95(7, 1, 21) == pytest.approx((up - down - half, up - down + half), abs=1e-6)


def test_what_flipped_and_which_classes_lose() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    first = answering(np.array([0, 0, 1, 1, 2, 0]), labels, "float.tflite")
    other = answering(np.array([0, 1, 0, 0, 2, 2]), labels, "int8.tflite")
    found = compare(first, other)
    assert (found.gained, found.lost, found.n, found.agreement.value) == (1, 3, 6, 2 / 6)
    flips = found.flips()
    assert flips["name"].tolist() == ["00001.png", "00002.png", "00003.png", "00005.png"]
    assert flips["flip"].tolist() == ["lost", "lost", "lost", "gained"]
    assert flips[["label", "reference", "other"]].to_numpy().tolist() == [
        ["a", "a", "b"], ["b", "b", "a"], ["b", "b", "a"], ["c", "a", "c"]]  # fmt: skip
    assert [(one.name, one.gained, one.lost, one.n) for one in found.regressions] == [("b", 0, 2, 2), ("a", 0, 1, 2)]
    assert [one.name for one in found.changes] == ["b", "a", "c"]
    said = found.to_json()
    assert said["per_class"][0]["difference"] == -1 and said["reference"] == "float.tflite"


def test_both_wrong_but_differently_is_neither() -> None:
    labels = np.zeros(3, np.int64)
    found = compare(answering(np.array([1, 0, 2]), labels), answering(np.array([2, 0, 2]), labels))
    assert found.flips()["flip"].tolist() == ["neither"] and (found.gained, found.lost) == (0, 0)


def test_other_data_is_refused_with_both_hashes() -> None:
    logits, labels = world(20)
    with pytest.raises(BadInput) as caught:
        compare(evaluation(logits, labels), evaluation(logits, labels, data_sha256="22" * 32))
    assert "11" * 32 in caught.value.fact and "22" * 32 in caught.value.fact
    with pytest.raises(BadInput, match="same classes in the same order"):
        compare(evaluation(logits, labels), evaluation(logits, labels, class_names=tuple("bacdefgh")))
