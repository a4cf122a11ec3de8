"""What was measured besides, from the values that Robustness, Layers and repeats give."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import BadInput
from edgekit.evaluation.compare import Paired
from edgekit.evaluation.layers import LayerNoise, Layers
from edgekit.evaluation.metrics import Proportion
from edgekit.evaluation.robustness import CLEAN, Point, Robustness
from edgekit.measurement.spread import spread
from edgekit.report.html import html_report
from edgekit.report.markdown import markdown_report
from edgekit.report.read_run import read_run
from edgekit.report.trial_charts import trial_charts
from edgekit.report.trials import tables, trial_facts
from tests.report.example import VARIANTS, write_run

EVIL = "</script><img src=x onerror=alert(1)>"


def robustness() -> dict[str, Any]:
    """90 and 80 of 100 as they are; noise takes 10 and 20 of them a severity."""
    points = []
    for name, severity, strength in ((CLEAN, 0, "as they are"), ("noise", 1, "8"), ("noise", 2, "16")):
        for file, right in (("float32", 90 - 10 * severity), ("int8", 80 - 20 * severity)):
            lost = 10 + 10 * severity
            against = None if file == "float32" else Paired(100, Proportion(100 - lost, 100), 0, lost)
            points.append(Point(file, name, severity, strength, Proportion(right, 100), against))
    return Robustness(tuple(points)).to_json()


def layers(name: str = "stem/conv;fused") -> dict[str, Any]:
    rows = (LayerNoise("input", "QUANTIZE", 50.0, None), LayerNoise(name, "CONV_2D", 38.5, 11.5),
            LayerNoise("pool", "MEAN", 40.25, -1.75), LayerNoise("same", "RESHAPE", None, None))  # fmt: skip
    return {**Layers("float32", "int8", 50, rows, 0).to_json(), "why": None}


def repeats() -> dict[str, Any]:
    figures = {"top1": [0.97, 0.98, 0.99], "drop_points": [0.0, 0.5, 1.0], "agreement": [0.9, 0.9, 0.99]}
    one = {name: spread(values) for name, values in figures.items()}
    return {"seeds": [0, 1, 2], "variants": {"int8": one}}


@pytest.fixture
def measured(results: dict[str, Any]) -> dict[str, Any]:
    return {**results, "robustness": robustness(), "layers": layers(), "repeats": repeats()}


def test_a_line_each_of_what_was_measured(measured: dict[str, Any]) -> None:
    assert trial_facts(measured) == [
        ("Under corruptions", "float32 75.0 % top-1 on average, 90.0 % without; "
                              "int8 50.0 % top-1 on average, 80.0 % without"),
        ("Where it parts from float32", "int8 loses most at CONV_2D stem/conv, 11.5 dB; "
                                        "40.2 dB are left at the last tensor"),
        ("Over several seeds", "3 seeds: int8 98.00 % top-1 on average, 1.00 % standard deviation"),
    ]  # fmt: skip
    for term, said in trial_facts(measured):
        assert f"- {term}: {said}".replace("_", "\\_") in markdown_report(measured).splitlines()


def test_the_tables(measured: dict[str, Any]) -> None:
    shown = tables(measured)
    titles, rows = shown["corrupted"]
    assert titles == ["Corruption", "Strength", "float32", "int8", "int8 against float32"]
    assert rows[2][:4] == ["noise", "16", "70.0 %", "40.0 %"]
    low, high = (100 * end for end in Paired(100, Proportion(70, 100), 0, 30).ci95)
    assert rows[2][4] == f"-30.0 points ({low:+.1f} to {high:+.1f})"
    assert shown["layers"][1] == [["CONV_2D", "stem/conv", "11.5", "38.5"], ["MEAN", "pool", "-1.8", "40.2"]]
    ((variant, mean, _, ends, deviation, drop),) = shown["seeds"][1]
    assert (variant, mean, ends, deviation) == ("int8", "98.00 %", "97.00 to 99.00 %", "1.00 %")
    assert drop == "+0.50 (+0.00 to +1.00)"


def test_the_charts_show_the_raw_values(measured: dict[str, Any]) -> None:
    drawn = {one.name: one for one in trial_charts(measured)}
    assert list(drawn) == ["corrupted-noise", "layers", "seeds"]
    data = {name: next(iter(one.spec["datasets"].values())) for name, one in drawn.items()}
    assert [(one["file"], one["severity"], round(one["top1"])) for one in data["corrupted-noise"]] == [
        ("float32", 0, 90), ("int8", 0, 80), ("float32", 1, 80), ("int8", 1, 60), ("float32", 2, 70), ("int8", 2, 40),
    ]  # fmt: skip
    assert [one["dB"] for one in data["layers"]] == [50.0, 38.5, 40.25]
    assert [(one["seed"], one["top1"]) for one in data["seeds"]] == [(0, 97.0), (1, 98.0), (2, 99.0)]
    assert drawn["corrupted-noise"].description == "Top-1 under noise: " + "; ".join(
        ["float32 90.0 % as they are, 70.0 % at the last", "int8 80.0 % as they are, 40.0 % at the last."]
    )


def test_what_was_not_measured_is_called_that(results: dict[str, Any]) -> None:
    said = [text for _, text in trial_facts(results)]
    assert [text.split(" (")[0] for text in said] == ["not measured"] * 3
    assert trial_charts(results) == () and [rows for _, rows in tables(results).values()] == [[], [], []]
    page = html_report(results)
    assert "not measured (diagnose.robustness in the recipe)" in page and 'id="corrupted"' not in page
    other = {**results, "layers": {"why": "They have no tensor of one name."}}
    assert trial_facts(other)[1][1] == "not measured: They have no tensor of one name"
    assert trial_facts({**results, "evidence": None}) == []


def test_names_of_tensors_stay_text(measured: dict[str, Any]) -> None:
    page = html_report({**measured, "layers": layers(EVIL)})
    assert EVIL not in page and "&lt;img src=x" in page
    assert [title in page for title in ('id="corrupted"', 'id="layers"', 'id="seeds"')] == [True] * 3


def test_seeds_are_counted_again_and_shown_for_the_run_that_they_are_of(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {name: VARIANTS[name] for name in ("float32", "int8")})
    found = read_run(folder).results
    assert found is not None and found["repeats"] is None
    first = {row["variant"]: row["top1"]["value"] for row in found["variants"]}
    told = {name: {"top1": {"values": [value, value - 0.1], "mean": 7.0}} for name, value in first.items()}
    kept = {"seeds": [0, 1], "recipe_sha256": found["recipe_sha256"], "variants": told}

    def after(document: object) -> Any:
        (folder / "results" / "repeats.json").write_text(json.dumps(document))
        again = read_run(folder).results
        return again and again["repeats"]

    assert after(kept)["variants"]["int8"]["top1"]["mean"] == pytest.approx(first["int8"] - 0.05)
    assert after({**kept, "recipe_sha256": "0" * 64}) is None
    other = {**told, "int8": {"top1": {"values": [0.5, 0.5]}}}
    assert after({**kept, "variants": other}) is None
    for damage in ({**kept, "seeds": ["x"]}, {**kept, "variants": {"int8": {"top1": {"values": [1]}}}}):
        with pytest.raises(BadInput, match=r"repeats\.json is not the results of a run"):
            after(damage)
