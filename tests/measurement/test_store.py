import importlib.util
import json
import os
import warnings
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from edgekit.errors import EdgekitWarning, MissingExtra, UsageError
from edgekit.measurement import store
from tests.measurement.emulated.example import counted
from tests.measurement.example import measured


def test_where_it_is(monkeypatch, tmp_path):
    assert store.default_store() == Path(os.environ["EDGEKIT_MEASUREMENTS"])
    monkeypatch.delenv("EDGEKIT_MEASUREMENTS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store.default_store() == tmp_path / "edgekit" / "measurements"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.default_store() == tmp_path / ".local" / "share" / "edgekit" / "measurements"


def test_what_is_kept_comes_back_oldest_first(tmp_path):
    later = replace(measured("../odd name?.tflite", seed=1), measured="2026-02-01T00:00:00+00:00")
    paths = [store.keep(one, tmp_path) for one in (later, measured(), measured())]
    assert len(set(paths)) == 3 and {path.parent for path in paths} == {tmp_path}
    assert store.stored(tmp_path) == (measured(), measured(), later)


def test_counts_of_instructions_lie_apart(tmp_path):
    store.keep(measured(), tmp_path)
    store.keep(counted(), tmp_path)
    assert store.stored(tmp_path) == (measured(),) and store.stored_counts(tmp_path) == (counted(),)
    rows = store.count_frame(store.stored_counts(tmp_path))
    assert list(rows.columns) == list(store.COUNT_COLUMNS) and rows["instructions"].tolist() == [4_000_000]
    fewer = replace(counted(instructions=3_000_000, device="rpi5:emulated"), measured="2026-02-01T00:00:00+00:00")
    assert store.count_table([counted(), fewer]).iloc[0].tolist() == [4_000_000, 3_000_000]


def test_as_a_table(tmp_path):
    assert store.measurements(tmp_path).empty
    for one in (measured(), measured("b.tflite", median=2e6, threads=4)):
        store.keep(one, tmp_path)
    rows = store.measurements(tmp_path)
    assert rows["file"].tolist() == ["a.tflite", "b.tflite"] and rows["threads"].tolist() == [1, 4]
    assert rows["median_ms"].tolist() == pytest.approx([1.0, 2.0], rel=0.02)
    assert list(rows.columns) == list(store.COLUMNS) and rows["delegate"].tolist() == ["XNNPACK"] * 2


def test_side_by_side_the_newest_of_each_device_and_setting(tmp_path):
    pi5 = {"cpu": "Raspberry Pi 5 Model B Rev 1.0"}
    found = [measured(median=9e6), measured(), measured(threads=4, median=4e5), measured(conditions=pi5, median=3e5)]
    table = store.table(found)
    assert table.index.tolist() == [("a.tflite", "abababab")] and table.shape == (1, 3)
    assert sorted(table.iloc[0]) == pytest.approx([0.3, 0.4, 1.0], rel=0.02)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[1]", b"\xff\xfe", b"{}", b"[" * 100_000, json.dumps({"file": "a"}).encode()]
)
def test_damaged_files_are_skipped_and_named(content, tmp_path):
    store.keep(measured(), tmp_path)
    (tmp_path / "broken.json").write_bytes(content)
    with pytest.warns(EdgekitWarning, match="broken.json is no measurement") as caught:
        assert store.stored(tmp_path) == (measured(),)
    assert len(caught) == 1


def test_what_lies_beside_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.stored(tmp_path) == () == store.stored(tmp_path / "none")


def test_export(tmp_path):
    rows = store.frame([measured(), measured(threads=2)])
    store.export(rows, tmp_path / "new" / "rows.csv")
    back = pd.read_csv(tmp_path / "new" / "rows.csv")
    assert back["threads"].tolist() == [1, 2] and back["median_ms"].tolist() == pytest.approx(
        rows["median_ms"].tolist()
    )
    parquet = tmp_path / "rows.parquet"
    if importlib.util.find_spec("pyarrow"):
        store.export(rows, parquet)
        assert pd.read_parquet(parquet)["sha256"].tolist() == rows["sha256"].tolist()
    else:
        with pytest.raises(MissingExtra, match="report"):
            store.export(rows, parquet)
    with pytest.raises(UsageError, match="rows.xlsx ends in neither .csv nor .parquet"):
        store.export(rows, Path("rows.xlsx"))
