"""Counted again by hand, and by other people's code."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgekit.evidence import evidence

NAMES = ("007", "NA", "owl")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """200 answers of two files, of classes whose names are no text to a careless reader."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 200)
    frames = {}
    for name, wrong in (("float32", 0.2), ("int8", 0.3)):
        answers = np.where(generator.random(200) < wrong, generator.integers(0, 3, 200), labels)
        frames[name] = pd.DataFrame({
            "name": [f"{place}.png" for place in range(200)], "label": np.array(NAMES)[labels],
            "prediction": np.array(NAMES)[answers], "confidence": generator.uniform(0.34, 1, 200)})  # fmt: skip
    return frames


def test_against_scikit_learn_and_scipy(found: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    metrics, stats = pytest.importorskip("sklearn.metrics"), pytest.importorskip("scipy.stats")
    for name, frame in found.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    made = evidence(tmp_path / "float32.csv", tmp_path / "int8.csv", "int8", NAMES)
    before, after = found["float32"], found["int8"]
    assert made["confusion"] == metrics.confusion_matrix(after["label"], after["prediction"], labels=NAMES).tolist()
    theirs = metrics.precision_recall_fscore_support(after["label"], after["prediction"], labels=NAMES)
    for place, one in enumerate(made["per_class"]):
        assert one["class"] == NAMES[place]
        ours = (one["precision"], one["recall"], one["f1"], one["support"])
        assert ours == pytest.approx(tuple(values[place] for values in theirs))
    right = [(frame["label"] == frame["prediction"]).to_numpy() for frame in (before, after)]
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    assert (made["paired"]["gained"], made["paired"]["lost"]) == (gained, lost)
    if made["paired"]["test"] == "exact":
        assert made["paired"]["p_value"] == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    else:
        statistic = (abs(gained - lost) - 1) ** 2 / (gained + lost)
        assert made["paired"]["p_value"] == pytest.approx(stats.chi2.sf(statistic, 1))
    assert sum(one["change"] for one in made["per_class"]) == gained - lost
    edges = np.linspace(0, 1, 11)
    bins = np.clip(np.digitize(after["confidence"], edges, right=True) - 1, 0, 9)
    apart = [abs(right[1][bins == b].sum() - after["confidence"][bins == b].sum()) for b in range(10)]
    assert made["calibration"]["int8"]["ece"] == pytest.approx(sum(apart) / 200)
