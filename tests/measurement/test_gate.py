import json
from dataclasses import replace

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.bench import SideBySide
from edgekit.measurement.compare import Comparison
from edgekit.measurement.gate import check, gate, gate_beside, read_baseline, require_models
from tests.measurement.example import measured


def verdicts(ratio, limit=5.0, spread=0.01, trials=20):
    """Of so many trials, each a baseline and a measurement of its own."""
    found = []
    for seed in range(trials):
        before = measured(seed=1000 + seed, spread=spread, processes=5)
        now = measured(median=ratio * 1e6, seed=seed, spread=spread)
        found += [one.verdict for one in gate([now], [before], max_regression_percent=limit)]
    return found


def test_ten_percent_is_found_and_none_is_not():
    assert verdicts(1.10) == ["regressed"] * 20
    assert "regressed" not in verdicts(1.0) + verdicts(0.9) + verdicts(1.10, limit=20)


def test_beside_the_file_itself_the_comparison_judges():
    first, second = measured(), measured("b.tflite", sha256="cd" * 32)
    said = []
    for ratio, interval in ((1.1, (1.05, 1.15)), (1.1, (0.9, 1.3)), (1.0, (0.96, 1.04)), (1.1, None)):
        comparison = Comparison("b.tflite", "a.tflite", ratio, interval, 10)
        (found,) = gate_beside([SideBySide((first, second), (comparison,))], 5.0)
        said.append((found.verdict, found.threads, found.batch, found.xnnpack))
    assert said == [(verdict, *first.row[2:]) for verdict in ("regressed", "unclear", "within", "regressed")]
    with pytest.raises(UsageError, match="max_regression_percent"):
        gate_beside([], -1)


def test_what_cannot_be_told_is_unclear():
    assert verdicts(1.0, spread=0.15).count("unclear") > 10
    assert gate([measured(median=1.2e6, processes=1)], [measured(processes=1)])[0].verdict == "regressed"
    assert gate([measured(processes=1)], [measured(processes=1)])[0].verdict == "unclear"


def test_the_failure_names_the_file_and_by_how_much():
    gated = gate([measured(), measured("b.tflite", median=1.2e6, seed=1)], [measured(seed=2)])
    assert [one.verdict for one in gated] == ["within", "regressed"]
    failed = check(gated)
    assert failed.exit_code == 1 and "b.tflite is 20." in failed.fact and "limit 5 %" in failed.fact
    assert "a.tflite" not in failed.fact
    assert check(gated[:1]) is None and check(()) is None


def test_another_model_is_refused_with_both_hashes():
    other = measured("models/a.tflite", sha256="cd" * 32)
    with pytest.raises(BadInput) as caught:
        gate([other], [measured()])
    assert "ab" * 32 in caught.value.fact and "cd" * 32 in caught.value.fact
    with pytest.raises(BadInput, match="another model"):
        require_models({"a.tflite": "cd" * 32}, [measured()])
    require_models({"elsewhere/a.tflite": "cd" * 32}, [measured()], new_version=True)
    assert gate([other], [measured()], new_version=True)[0].verdict == "within"
    with pytest.raises(BadInput, match="no file of that name"):
        gate([replace(other, file="b.tflite")], [measured()], new_version=True)


@pytest.mark.parametrize(
    ("name", "value"), [("cpu", "Raspberry Pi 5 Model B Rev 1.0"), ("cores", 2), ("machine", "armv7l")]
)
def test_another_machine_is_refused_with_both_named(name, value):
    here = measured(conditions={name: value})
    with pytest.raises(BadInput, match="another machine") as caught:
        gate([here], [measured()])
    assert str(value) in caught.value.fact and "Raspberry Pi 4 Model B Rev 1.4" in caught.value.fact


def test_another_runtime_is_what_a_gate_is_for():
    newer = measured(median=1.2e6, conditions={"runtime": "ai-edge-litert 2.4.0"})
    assert gate([newer], [measured()])[0].verdict == "regressed"


def test_another_setting_is_refused():
    for fields in ({"threads": 2}, {"batch": 8}, {"xnnpack": False}, {"device": "gpu"}):
        with pytest.raises(BadInput, match="no measurement of a.tflite with"):
            gate([measured(**fields)], [measured()])


def test_a_limit_below_zero():
    for limit in (-1.0, float("nan")):
        with pytest.raises(UsageError, match="max_regression_percent"):
            gate([measured()], [measured()], max_regression_percent=limit)


def test_what_a_baseline_may_be(tmp_path):
    path = tmp_path / "results.json"
    one = measured().to_json()
    for document in ({"schema": 1, "result": {"files": [one]}}, {"files": [one]}, one):
        path.write_text(json.dumps(document))
        assert read_baseline(path) == (measured(),)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "{}", "null", '{"files": []}', '{"files": [{}]}', '{"result": null}', "[" * 100_000]
)
def test_what_is_no_baseline(text, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(BadInput, match="results.json"):
        read_baseline(path)
    with pytest.raises(BadInput, match="none.json"):
        read_baseline(tmp_path / "none.json")
