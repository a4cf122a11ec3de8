"""Calibration against computations of others: pandas, scikit-learn, scipy."""

import numpy as np
import pandas as pd
import pytest

from edgekit.evaluation.metrics import softmax
from edgekit.evaluation.reliability import COLDEST, HOTTEST, Scores, reliability
from tests.evaluation.answers import evaluation, world


def by_pandas(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """The expected calibration error, another way round."""
    frame = pd.DataFrame({"sure": confidence.astype(np.float64), "right": correct})
    frame["bin"] = pd.cut(frame["sure"], np.linspace(0, 1, bins + 1), include_lowest=True)
    means = frame.groupby("bin", observed=True).agg(sure=("sure", "mean"), right=("right", "mean"), n=("sure", "size"))
    return float(((means["right"] - means["sure"]).abs() * means["n"]).sum() / len(frame))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_is_that_of_a_plain_table(bins: int) -> None:
    logits, labels = world()
    found = evaluation(3 * logits, labels)
    assert found.reliability(bins=bins).ece == pytest.approx(by_pandas(found.confidence, found.correct, bins), abs=1e-9)
    assert len(found.reliability(bins=bins).to_frame()) == bins


def test_the_curve_is_scikit_learns() -> None:
    from sklearn.calibration import calibration_curve

    logits, labels = world()
    found = evaluation(2 * logits, labels)
    right, sure = calibration_curve(found.correct, found.confidence.astype(np.float64), n_bins=15)
    frame = found.reliability().to_frame().dropna()
    assert frame["accuracy"].to_numpy() == pytest.approx(right) and frame["confidence"].to_numpy() == pytest.approx(
        sure
    )
    assert found.reliability().mce == pytest.approx(np.abs(right - sure).max())


def test_the_ends_of_bins() -> None:
    """(0.5, 1] and [0, 0.5]."""
    found = reliability(np.array([0.0, 0.5, 0.50001, 1.0]), np.array([True, False, True, True]), bins=2)
    assert found.counts.tolist() == [2, 2] and found.hits.tolist() == [1, 2]
    with pytest.raises(ValueError, match="no answers"):
        reliability(np.array([]), np.array([], bool))


def test_the_temperature_of_an_over_confident_model_mends_it() -> None:
    """Labels are drawn from the logits, so that three times the logits need a temperature of three."""
    from scipy.optimize import minimize_scalar
    from sklearn.metrics import log_loss

    logits, labels = world(20_000)
    found = evaluation(3 * logits, labels)

    def surprise(temperature: float) -> float:
        return log_loss(labels, softmax(found.scores.astype(np.float64) / temperature))

    independent = minimize_scalar(surprise, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-8})
    assert found.temperature == pytest.approx(independent.x, rel=1e-5) and found.temperature == pytest.approx(
        3, rel=0.05
    )
    assert found.beliefs.surprise(labels) == pytest.approx(surprise(1), rel=1e-6)
    assert found.beliefs.surprise(labels, found.temperature) == pytest.approx(independent.fun, rel=1e-6)
    cooled = softmax(found.scores.astype(np.float64) / independent.x).max(axis=1)
    assert found.reliability(found.temperature).ece == pytest.approx(by_pandas(cooled, found.correct, 15), abs=1e-4)
    assert found.reliability().ece > 0.2 > 0.02 > found.reliability(found.temperature).ece


def test_probabilities_and_logits_have_one_temperature() -> None:
    logits, labels = world()
    given, raw = evaluation(softmax(2 * logits), labels), evaluation(2 * logits, labels)
    assert given.beliefs.given and not raw.beliefs.given
    assert given.temperature == pytest.approx(raw.temperature, rel=1e-4)
    assert given.confidence == pytest.approx(raw.confidence, abs=1e-6)
    assert given.reliability(2.0).ece == pytest.approx(raw.reliability(2.0).ece, abs=1e-5)


def test_a_quantized_softmax_says_nothing_where_it_means_little() -> None:
    logits, labels = world()
    codes = np.round(softmax(2 * logits) * 256) / 256
    found = evaluation(codes, labels)
    assert (codes == 0).any() and found.beliefs.floor == pytest.approx(1 / 512)
    assert np.isfinite(found.beliefs.surprise(labels)) and found.temperature == pytest.approx(2, rel=0.3)


def test_what_no_temperature_mends() -> None:
    labels = np.arange(40) % 4
    right = np.eye(4)[labels]
    assert Scores(right, given=False).temperature(labels) == pytest.approx(COLDEST)
    assert Scores(-right, given=False).temperature(labels) == pytest.approx(HOTTEST)


def test_scores_are_looked_at_block_by_block(tmp_path, monkeypatch) -> None:
    """The same figures whether they lie in memory or in a file."""
    logits, labels = world(1000)
    whole = evaluation(2 * logits, labels)
    np.save(tmp_path / "scores.npy", whole.scores)
    mapped = evaluation(np.load(tmp_path / "scores.npy", mmap_mode="r"), labels)
    monkeypatch.setattr("edgekit.evaluation.reliability.BLOCK", 64)
    monkeypatch.setattr("edgekit.evaluation.record.BLOCK", 64)
    assert mapped.to_json() == whole.to_json()
