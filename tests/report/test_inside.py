from edgekit.report.inside import inside_facts, inside_rows

OPERATOR = {"op": "CONV_2D", "dtype": "int8", "layer": "block_1/conv;bn", "median_us": 12.5, "delegated": True}
OUTSIDE = {"op": "HARD_SWISH", "dtype": "int8", "reason": "no int8 kernel"}
PLACEMENT = {"delegate": "XNNPACK", "partitions": 2, "operators": 30, "delegated": 28, "outside": [OUTSIDE] * 2}
PROFILE = {
    "whole_us": {"median": 50.0, "mean": 51.0, "n": 120},
    "operators": [{**OPERATOR, "share": 0.25}, {**OPERATOR, "share": 0.75}],
}
ADVICE = {"said": "Hard-swish runs alone", "share": 0.4, "step": "steps: [rewrite]", "gains": []}
FOUND = {"file": "a_int8.tflite", "placement": PLACEMENT, "profile": PROFILE, "advice": [ADVICE], "why": ""}


def test_what_the_delegate_runs_and_what_takes_longest() -> None:
    assert inside_facts({"inside": FOUND}) == [
        ("File", "a_int8.tflite"),
        ("Placement", "XNNPACK runs 28 of 30 operators, in 2 parts"),
        ("Outside", "2 x HARD_SWISH int8: no int8 kernel"),
        ("An inference", "50.0 µs, median of 120"),
        ("Advice", "Hard-swish runs alone (40 % of the time). In a recipe: steps: [rewrite]"),
    ]
    assert inside_rows({"inside": FOUND})[0] == ["CONV_2D int8", "block_1/conv", "75.0 %", "12.5", "delegate"]


def test_what_was_not_measured_is_said() -> None:
    found = {**FOUND, "profile": None, "why": "The runtime has no profiler."}
    assert inside_facts({"inside": found})[-1] == ("Times", "not measured: The runtime has no profiler.")
    assert inside_rows({"inside": found}) == []
    assert inside_facts({}) == [] and inside_rows({}) == []
