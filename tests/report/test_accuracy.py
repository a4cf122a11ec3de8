from typing import Any

from edgekit.report.accuracy import CLASS_COLUMNS, accuracy_facts, class_rows


def test_flips_chance_calibration_and_weak_classes(results: dict[str, Any]) -> None:
    told = dict(accuracy_facts(results))
    # int8 has the first 3 images wrong, which float32 has right, and the last 5 like float32 (tests/report/example.py).
    assert told["Flips against float32"] == "0 images gained, 3 lost, of 360"
    assert told["Difference"].startswith("-0.83 points (95 % interval ")
    assert told["Difference"].endswith("no more than chance explains (McNemar's test, p = 0.25)")
    assert told["Classes under 70 %"] == "none"
    assert told["Calibration error"].startswith("float32 ")


def test_the_weakest_class_comes_first(results: dict[str, Any]) -> None:
    rows = class_rows(results)
    assert len(rows) == 10 and rows[0]["recall"] == min(row["recall"] for row in rows)
    assert CLASS_COLUMNS[0].show(rows[0]) == rows[0]["class"]
    assert sum(row["change"] for row in rows) == -3


def test_nothing_without_labels() -> None:
    assert accuracy_facts({"evidence": None}) == [] and class_rows({}) == []
