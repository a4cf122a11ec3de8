import json

import numpy as np
import pandas as pd
import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.examine import Examined
from edgekit.evaluation.keep import keep, read_rows, require_format
from tests.evaluation.answers import evaluation, world


@pytest.fixture
def done():
    logits, labels = world(50)
    files = ("out/a.tflite", "old/a.tflite", "b.tflite")
    return Examined("photos", tuple(evaluation(logits + n, labels, file) for n, file in enumerate(files)))


def test_the_figures_and_the_raw_results_as_csv(done, tmp_path):
    written = keep(done.evaluations, done.to_json(), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in written) == [
        "a-2.csv", "a-2.scores.npy", "a.csv", "a.scores.npy", "b.csv", "b.scores.npy", "evaluation.json"]  # fmt: skip
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [one["rows"] for one in document["files"]] == ["a.csv", "a-2.csv", "b.csv"]
    first = done.evaluations[0]
    assert np.array_equal(np.load(tmp_path / "out" / "a.scores.npy"), first.scores)
    rows = read_rows(tmp_path / "out" / "a.csv")
    assert rows["name"].tolist() == list(first.names)
    assert (rows["label"] == rows["prediction"]).mean() == first.top1.value == document["files"][0]["top1"]["value"]


def test_the_same_as_parquet(done, tmp_path, monkeypatch):
    monkeypatch.setattr("edgekit.evaluation.keep.ROWS", 20)
    keep(done.evaluations, done.to_json(), tmp_path, "parquet")
    frame = pd.read_parquet(tmp_path / "a.parquet")
    first = done.evaluations[0]
    pd.testing.assert_frame_equal(frame.drop(columns="scores"), first.to_frame(), check_dtype=False)
    assert np.array_equal(np.stack(frame["scores"]), first.scores)
    assert read_rows(tmp_path / "a.parquet")["prediction"].tolist() == first.to_frame()["prediction"].tolist()


def test_what_cannot_be_kept_or_read(tmp_path):
    with pytest.raises(UsageError, match="no format 'xlsx'"):
        require_format("xlsx")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    for name in ("rows.csv", "none.csv", "none.parquet"):
        with pytest.raises(BadInput, match=name):
            read_rows(tmp_path / name)
