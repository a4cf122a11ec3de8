import json

import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.emulated.gate import check_counts, gate_counts, gate_counts_beside, read_counts
from tests.measurement.emulated.example import counted


def test_one_percent_more_is_a_regression_and_one_instruction_is_not():
    before = [counted()]
    (much,) = gate_counts([counted(instructions=4_040_001)], before)
    (little,) = gate_counts([counted(instructions=4_000_001)], before)
    assert (much.verdict, little.verdict) == ("regressed", "within")
    failed = check_counts([much, little])
    assert failed.exit_code == 1 and "a.tflite takes 1.00 % more instructions on rpi4:emulated" in failed.fact
    assert "4,040,001, before 4,000,000" in failed.fact and check_counts([little]) is None
    assert gate_counts([counted(instructions=3_000_000)], before, max_regression_percent=0)[0].verdict == "within"
    with pytest.raises(UsageError, match="max_regression_percent is -1"):
        gate_counts([], [], max_regression_percent=-1)


def test_beside_the_file_itself_the_first_is_the_baseline():
    shipped, much, copy = counted(), counted("b.tflite", instructions=4_040_001), counted("c.tflite")
    found = gate_counts_beside([shipped, much, copy])
    assert [(one.file, one.verdict) for one in found] == [("b.tflite", "regressed"), ("c.tflite", "within")]
    assert gate_counts_beside([shipped, much], max_regression_percent=2)[0].verdict == "within"
    with pytest.raises(UsageError, match="max_regression_percent is -1"):
        gate_counts_beside([shipped], max_regression_percent=-1)


def test_another_runtime_is_named():
    (found,) = gate_counts([counted(conditions={"runtime": "ai-edge-litert 3.0"})], [counted()])
    assert "ai-edge-litert 2.3.0 became ai-edge-litert 3.0" in found.sentence


def test_another_file_or_setting_is_refused():
    for other in ({"sha256": "cd" * 32}, {"device": "rpi5:emulated"}, {"batch": 2}, {"xnnpack": False}):
        with pytest.raises(BadInput, match="The baseline has no count of a.tflite"):
            gate_counts([counted(**other)], [counted()])
    changed = counted("elsewhere/a.tflite", sha256="cd" * 32)
    assert gate_counts([changed], [counted()], new_version=True)[0].verdict == "within"


def test_a_baseline_is_what_bench_wrote(tmp_path):
    path = tmp_path / "baseline.json"
    for document in ({"instructions": [counted().to_json()]}, {"result": {"instructions": [counted().to_json()]}}):
        path.write_text(json.dumps(document))
        assert read_counts(path) == (counted(),)
    for content in ("{}", '{"files": []}', '{"instructions": []}', "[]", "{"):
        path.write_text(content)
        with pytest.raises(BadInput, match=r"baseline\.json"):
            read_counts(path)
