"""Each check, from evidence that has what it looks for and from evidence that has not."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekit.evaluation.evaluate import Evaluation
from edgekit.findings import checks
from edgekit.findings.checks import CHECKS, check
from edgekit.findings.finding import KINDS, Alternative, Evidence, Finding
from edgekit.runtime.dissect import inspect
from edgekit.runtime.shippable import shippable
from tests.measurement import slow_ops
from tests.runtime import hostile


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """A float file without a card; nothing was run."""
    inspection = inspect(slow_ops.path("float32"))
    return Evidence("model.tflite", inspection, shippable(inspection), None)


def answers(labels: list[int], predictions: list[int], classes: int = 3) -> Evaluation:
    n = len(labels)
    return Evaluation(
        file="model.tflite", sha256="", class_names=tuple(f"class{one}" for one in range(classes)),
        names=tuple(map(str, range(n))), labels=np.array(labels),
        scores=np.eye(classes, dtype=np.float32)[predictions], data_sha256="", batch=1,
    )  # fmt: skip


def names(found: tuple[Finding, ...]) -> list[str]:
    return [one.name for one in found]


def test_what_nothing_says_and_what_breaks(evidence: Evidence, tmp_path) -> None:
    (untold,) = check(evidence)
    assert untold.name == "untold" and "no card" in untold.evidence and "metadata set" in untold.fix
    path = tmp_path / "flex.tflite"
    path.write_bytes(hostile.custom("FlexErf"))
    inspection = inspect(path)
    first = check(replace(evidence, inspection=inspection, shippable=shippable(inspection)))[0]
    assert (first.name, first.kind, first.cost) == ("breaks", "broken", 1.0) and "Flex" in first.evidence


def test_an_integer_input_that_takes_no_pixels(evidence: Evidence) -> None:
    port = replace(evidence.inspection.inputs[0], dtype="int8", scale=0.00745, zero_point=6)
    odd = replace(evidence, inspection=replace(evidence.inspection, inputs=(port,)))
    assert "odd-codes" in names(check(odd)) and "0.00745 * (q - 6)" in str(check(odd))
    pixels = replace(port, scale=1.0, zero_point=-128)
    assert "odd-codes" not in names(check(replace(odd, inspection=replace(odd.inspection, inputs=(pixels,)))))


def test_one_answer_and_classes_never_answered(evidence: Evidence) -> None:
    labels = [0, 1, 2] * 10
    same = check(replace(evidence, evaluation=answers(labels, [1] * 30)))
    assert names(same)[:2] == ["one-answer", "never-answered"]
    assert same[0].cost == pytest.approx(2 / 3) and "30 of 30 answers" in same[0].evidence
    assert "class0, class2: 20 of 30" in same[1].evidence
    assert names(check(replace(evidence, evaluation=answers(labels, labels)))) == ["untold"]


def test_less_accurate_than_the_card_says(evidence: Evidence) -> None:
    labels = [0, 1, 2] * 20
    told: Any = SimpleNamespace(metrics={"top1": {"value": 0.95, "n": 100, "ci95": [0.9, 0.98]}})
    half = answers(labels, [*labels[:30], *((one + 1) % 3 for one in labels[30:])])
    found = check(replace(evidence, card=told, evaluation=half))
    assert found[0].name == "less-accurate" and found[0].cost == pytest.approx(0.45)
    assert "top-1 50.0%" in found[0].evidence and "the card says 95.0%" in found[0].evidence
    nothing: Any = SimpleNamespace(metrics={"top1": None})
    for card, result in ((told, answers(labels, labels)), (nothing, half), (SimpleNamespace(metrics={}), half)):
        assert "less-accurate" not in names(check(replace(evidence, card=card, evaluation=result)))  # type: ignore[arg-type]


def test_images_prepared_in_another_way(evidence: Evidence) -> None:
    labels = [0, 1, 2] * 20
    now = answers(labels, [(one + 1) % 3 for one in labels])
    right = Alternative("the channel order bgr", "--channels bgr", answers(labels, labels))
    worse = Alternative("the normalization of 'raw'", "--preprocess raw", now)
    tried = tuple(range(60))
    found = check(replace(evidence, evaluation=now, alternatives=(worse, right), tried=tried))
    assert found[0].name == "prepared-otherwise" and found[0].cost == 1.0 and "--channels bgr" in found[0].fix
    assert "prepared-otherwise" not in names(
        check(replace(evidence, evaluation=now, alternatives=(worse,), tried=tried))
    )


def test_what_costs_most_comes_first(monkeypatch, evidence: Evidence) -> None:
    def some(_):
        for kind in reversed(KINDS):
            for cost in (0.1, 0.7):
                yield Finding("n", kind, "said", cost, "seen", "fix")

    monkeypatch.setattr(checks, "CHECKS", (some,))
    found = check(evidence)
    assert [(one.kind, one.cost) for one in found] == [(kind, cost) for kind in KINDS for cost in (0.7, 0.1)]
    assert len(CHECKS) == len(set(CHECKS))


@pytest.mark.parametrize("wrong", [{"evidence": ""}, {"fix": ""}, {"kind": "odd"}])
def test_no_finding_without_evidence(wrong: dict[str, str]) -> None:
    given = {"name": "n", "kind": "slow", "said": "s", "cost": 0.0, "evidence": "e", "fix": "f", **wrong}
    with pytest.raises(ValueError, match="without evidence or fix"):
        Finding(**given)  # type: ignore[arg-type]
