"""Steps and the mixed variant in every report: what was done, what was left alone and why, which layers cost most."""

from pathlib import Path
from typing import Any

import pytest

from edgekit.compression.step import Note, Stepped
from edgekit.report.html import html_report
from edgekit.report.markdown import markdown_report
from edgekit.report.steps import costs, ledger, mixed, sentences, steps
from edgekit.report.tables import text_report
from tests.report.example import make_results

HISTORY = [{"epoch": e, "train_loss": 0.02, "val_loss": 0.01 / e, "val_agreement": 0.98 + e / 200, "val_top1": 0.97,
            "learning_rate": 1e-4, "seconds": 30.0} for e in (1, 2)]  # fmt: skip
FIGURES = {
    "layers": 2, "float_ops": ["MUL scale"], "agreement": {"value": 0.994, "n": 180, "ci95": [0.969, 0.999]},
    "training": {"epochs": 2, "best_epoch": 2, "seconds": 60.0, "history": HISTORY}, "sqnr_db": 31.0,
}  # fmt: skip


def taken(name: str, config: dict[str, Any], stepped: Stepped) -> dict[str, Any]:
    return {"name": name, "config": config, **stepped.to_json()}


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    notes = tuple(Note(f"conv<{i}>", "weights of 8 bits") for i in range(12))
    learned = Stepped(None, notes, (Note("head", "excluded: it stays float"),), FIGURES)
    row = {"n": 180, "agreement": 0.91, "sqnr_db": 12.3, "drop_points": 0.5}
    found = {
        "by": "top1", "unit": "top-1 points lost", "budget": 0.3, "lost": 0.1, "int8_lost": 2.2, "tried": 5,
        "float_layers": [{"layer": "stem", "op": "CONV_2D", "tensor": "t"}], "model_bytes": 1200, "int8_bytes": 1000,
        "sentence": "The mixed file is within the budget.", "reached": True,
        "sensitivity": {"whole": row, "layers": [{"layer": f"layer{i}", "op": "ADD", **row} for i in range(12)]},
    }  # fmt: skip
    config = {"epochs": 2, "weight_bits": 8, "learning_rate": 1e-4, "exclude": ["head"], "distil": True}
    made = make_results(tmp_path, steps=[{"rewrite": {}}, {"quantize_aware": config}])
    done = Stepped(None, (Note("act", "hard-swish as x * relu6(x + 3)"),))
    both = [taken("rewrite", {"hard_swish": "exact"}, done), taken("quantize_aware", config, learned)]
    return {**made, "steps": both, "mixed": found}


def test_the_ledger_tells_what_is_in_the_weights() -> None:
    weights = {"sparsity": 0.5, "distinct_a_channel": 16, "fours": 64, "two_of_four": 64}
    row = {"after": "cluster", "model_bytes": 2048, "gzip_bytes": 1024, "macs": 2_000_000, "top1": None, "gain": None,
           "latency_ms": {"median": 0.5}, "weights": weights}  # fmt: skip
    (told,) = ledger({"ledger": [row]})
    assert told[3] == "50.00 % zeros, 2:4, at most 16 values a channel"
    (told,) = ledger({"ledger": [{**row, "weights": {**weights, "two_of_four": 60}}]})
    assert told[3] == "50.00 % zeros, at most 16 values a channel"
    (told,) = ledger({"ledger": [{**row, "weights": {**weights, "fours": 0, "two_of_four": 0}}]})
    assert "2:4" not in told[3]


def test_a_step_in_facts(results: dict[str, Any]) -> None:
    (first, rewritten), (second, learned) = steps(results)
    assert (first, second) == ("1. rewrite", "2. quantize_aware")
    assert rewritten == [("Settings", "hard_swish exact"), ("Done", "hard-swish as x * relu6(x + 3): act")]
    assert dict(learned) == {
        "Settings": "epochs 2, weight_bits 8, learning_rate 0.0001, exclude head, distil yes",
        "Done": f"weights of 8 bits: {', '.join(f'conv<{i}>' for i in range(8))} and 4 more",
        "Left alone": "excluded: it stays float: head",
        "Training": "2 epochs in 1 min 0 s, epoch 2 was kept: validation top-1 97.00 %, "
        "agreement with the float model 99.00 %, loss 0.005",
        "Says what its int8 file says": "for 99.40 % of 180 (96.9 to 99.9 %) held-out samples",
        "Computes in float": "MUL scale",
    }
    unchanged = {**results["steps"][1], "figures": {**FIGURES, "training": {**FIGURES["training"], "best_epoch": 0}}}
    told = dict(steps({"steps": [unchanged]})[0][1])["Training"]
    assert told == "2 epochs in 1 min 0 s, none of them better than before: the weights are as they were"


def test_the_mixed_variant_in_facts(results: dict[str, Any]) -> None:
    told = dict(mixed(results))
    assert told["Layers left float"] == "stem (CONV_2D)" and told["Size"] == "1 kB, 1.20 times that of int8"
    assert told["All of them quantized"] == "2.20 top-1 points lost"
    rows = costs(results)
    assert len(rows) == 10 and rows[0] == ["layer0", "ADD", "91.00 %", "12.3", "0.50"]
    assert mixed({"mixed": None}) == costs({}) == steps({}) == sentences({}) == []


def test_every_report_tells_of_them(results: dict[str, Any]) -> None:
    page, markdown, terminal = html_report(results), markdown_report(results), text_report(results)
    for said in ("2. quantize_aware", "Left alone", "The mixed file is within the budget", "layer9"):
        assert said in page and said.replace("_", "\\_") in markdown, said
    assert "conv&lt;3&gt;" in page and "conv<3>" not in page
    assert "steps = rewrite, quantize\\_aware" in markdown
    assert "  quantize_aware: 12 changes; 1 left alone; 2 epochs" in terminal and "  The mixed file is" in terminal


def test_without_steps_nothing_is_said(tmp_path: Path) -> None:
    plain = make_results(tmp_path)
    assert "Steps" not in markdown_report(plain) + text_report(plain) + html_report(plain).split("<script")[0]
