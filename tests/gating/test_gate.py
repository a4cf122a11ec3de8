"""Results against limits and a baseline: what is planted is found, and what is not is not."""

import json

import pytest

from edgekit.errors import BadInput, CheckFailed, UsageError
from edgekit.gating.gate import gate
from tests.gating.documents import benched, evaluated


@pytest.fixture
def baseline(tmp_path):
    return [evaluated(tmp_path / "main"), benched(tmp_path / "main" / "bench.json")]


def broken(found):
    return [one.rule.name for one in found.checked if one.state == "broken"]


def test_the_same_again_passes(tmp_path, baseline):
    now = [evaluated(tmp_path / "now"), benched(tmp_path / "now" / "bench.json", seed=1)]
    found = gate(now, baseline=baseline)
    assert found.failed is None and [one.rule.name for one in found.checked] == [
        "max_drop_points", "max_size_growth_percent", "max_regression_percent"]  # fmt: skip


@pytest.mark.parametrize(
    ("planted", "rule", "words"),
    [
        ({"wrong": 120}, "max_drop_points", "loses 2.00 points of top-1 (95 %: "),
        ({"ms": 1.2}, "max_regression_percent", "% slower than the baseline (95 %: "),
        ({"size": 4400}, "max_size_growth_percent", "has 10.0 % more than the baseline, limit 5 %"),
    ],
)
def test_what_is_planted_is_found(planted, rule, words, tmp_path, baseline):
    """A drop of two points, an operator that takes a fifth of the time, a tenth more bytes."""
    now = [
        evaluated(tmp_path / "now", planted.get("wrong", 100)),
        benched(tmp_path / "now" / "bench.json", planted.get("ms", 1.0), planted.get("size", 4000), seed=1),
    ]
    found = gate(now, baseline=baseline)
    assert broken(found) == [rule]
    assert isinstance(found.failed, CheckFailed) and words in found.failed.fact


def test_rules_of_a_file_count_alone(tmp_path, baseline):
    rules = tmp_path / "gate.yaml"
    rules.write_text("max_drop_points: 5\nmin_agreement: 0.95\nmax_class_drop_points: 3\nmax_latency_ms: 0.5\n")
    now = [evaluated(tmp_path / "now", 140), benched(tmp_path / "now" / "bench.json", size=9000)]
    found = gate(now, rules=rules, baseline=baseline)
    states = {one.rule.name: one.state for one in found.checked}
    assert states == {"max_drop_points": "met", "max_class_drop_points": "broken", "min_agreement": "met",
                      "max_latency_ms": "broken"}  # fmt: skip
    worst = next(one for one in found.checked if one.rule.name == "max_class_drop_points")
    assert worst.figure is not None and " from " in worst.figure.detail and worst.figure.value > 4


def test_without_a_baseline_the_first_file_is_the_reference(tmp_path):
    from edgekit.evaluation.examine import Examined
    from edgekit.evaluation.keep import keep
    from tests.evaluation.answers import answering
    from tests.gating.documents import CLASSES, LABELS

    worse = LABELS.copy()
    worse[:30] = (worse[:30] + 1) % CLASSES
    pair = (answering(LABELS, LABELS, "float.tflite"), answering(worse, LABELS, "int8.tflite", sha256="cd" * 32))
    keep(pair, Examined("photos", pair).to_json(), tmp_path)
    found = gate([tmp_path])
    assert [(one.file, one.rule.name, one.figure.value) for one in found.checked if one.figure] == [
        ("int8.tflite", "max_drop_points", 3.0)]  # fmt: skip
    rules = {"min_top1": 0.98}
    assert [one.state for one in gate([tmp_path], rules=rules).checked] == ["broken"]
    assert [one.state for one in gate([tmp_path], rules=rules, files=["out/float.tflite"]).checked] == ["met"]
    with pytest.raises(BadInput, match="Unknown file 'float16.tflite'"):
        gate([tmp_path], rules=rules, files=["float16.tflite"])


def test_a_rule_that_was_asked_for_and_not_measured_fails(tmp_path):
    found = gate([evaluated(tmp_path)], rules={"max_latency_ms": 20})
    assert found.failed is not None and "has no latency_ms in these results" in found.failed.fact


def test_results_of_other_data_are_refused_with_both_hashes(tmp_path):
    now, before = evaluated(tmp_path / "now", data_sha256="33" * 32), evaluated(tmp_path / "main")
    with pytest.raises(BadInput) as caught:
        gate([now], baseline=[before])
    assert "33" * 32 in caught.value.fact and "11" * 32 in caught.value.fact


def test_a_baseline_of_another_file_or_machine_is_refused(tmp_path):
    now = evaluated(tmp_path / "now", file="other.tflite")
    with pytest.raises(BadInput, match=r"no other\.tflite; it has model\.tflite"):
        gate([now], baseline=[evaluated(tmp_path / "main")])
    here, there = benched(tmp_path / "a.json"), benched(tmp_path / "b.json", conditions={"cores": 2})
    with pytest.raises(BadInput, match="another machine"):
        gate([here], baseline=[there])


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{}", '{"files": []}', '{"files": [{}]}', '{"files": 3}', '{"variants": [{}]}',
             '{"targets": []}', '{"schema": 1, "command": "evaluate", "result": null}', "[" * 100_000]
)  # fmt: skip
def test_what_is_no_result(text, tmp_path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"results\.json"):
        gate([path])
    with pytest.raises(BadInput, match="cannot be read"):
        gate([tmp_path])  # a folder without results


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_drop: 1\n", r"gate\.yaml:1: unknown rule 'max_drop'"),
        ("max_size_mb: 1\nmax_latency_ms: fast\n", r"gate\.yaml:2: max_latency_ms is 'fast'"),
        ("max_size_mb: -1\n", "no number of 0 or more"),
        ("max_size_mb: true\n", "no number of 0 or more"),
        ("max_size_mb: .inf\n", "no number of 0 or more"),
        ("max_size_mb: 1\nmax_size_mb: 2\n", "given twice"),
        ("", "has no rule"),
        ("- max_size_mb\n", "mapping"),
    ],
)
def test_rules_that_are_none(text, words, tmp_path):
    rules = tmp_path / "gate.yaml"
    rules.write_text(text)
    with pytest.raises(BadInput, match=words):
        gate([evaluated(tmp_path / "now")], rules=rules)


def test_nothing_to_check(tmp_path):
    with pytest.raises(UsageError, match="No rule applies"):
        gate([evaluated(tmp_path)])


def test_a_document_never_leads_out_of_its_folder(tmp_path):
    now, before = evaluated(tmp_path / "now"), evaluated(tmp_path / "main")
    document = json.loads((now / "evaluation.json").read_text())
    document["files"][0]["rows"] = "../main/model.csv"
    (now / "evaluation.json").write_text(json.dumps(document))
    (now / "model.csv").unlink()
    with pytest.raises(BadInput, match=r"now/model\.csv cannot be read"):
        gate([now], baseline=[before])


def test_the_run_directories_of_compress(tmp_path):
    from tests.report.example import VARIANTS, make_results

    folders = []
    for name in ("main", "now"):
        folder = tmp_path / name
        results = make_results(folder, {name: VARIANTS[name] for name in ("float32", "int8")})
        (folder / "results" / "results.json").write_text(json.dumps(results))
        folders.append(folder)
    found = gate([folders[1]], baseline=[folders[0]])
    assert found.failed is None
    assert {one.rule.name for one in found.checked} >= {"max_verification_failures", "max_drop_points",
                                                        "max_size_growth_percent"}  # fmt: skip
    alone = gate([folders[1]], rules={"max_size_mb": 1.0})  # of float32, the reference, nothing is asked
    assert [(one.file, one.state) for one in alone.checked] == [(alone.checked[0].file, "met")]


def test_what_inspect_says_in_the_same_table(tmp_path):
    from edgekit.runtime.dissect import inspect
    from edgekit.runtime.shippable import shippable
    from tests.runtime import hostile

    path = tmp_path / "model.tflite"
    path.write_bytes(hostile.custom("FlexErf"))
    found = inspect(path)
    document = {**found.to_json(), "check": shippable(found).to_json()}
    (tmp_path / "inspect.json").write_text(json.dumps(document))
    judged = gate([tmp_path / "inspect.json"])
    assert broken(judged) == ["max_flex_operators", "max_missing_contracts"]
    assert judged.failed is not None and "Flex delegate" in judged.failed.fact
