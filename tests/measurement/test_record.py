import json
from copy import deepcopy

import pytest

from edgekit.errors import BadInput
from edgekit.measurement.record import read_measurement
from tests.measurement.example import measured


def document():
    return json.loads(json.dumps(measured().to_json(), allow_nan=False))


def test_what_is_written_is_read_back():
    assert read_measurement(document(), "x.json") == measured()


def test_figures_are_derived_again():
    lied = {**document(), "latency_ms": {"median": 1e-9}, "verdict": "steady"}
    assert read_measurement(lied, "x.json").latency_ms == measured().latency_ms


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((), None, "x.json is no measurement: the file"),
        ((), [1], "x.json is no measurement: the file"),
        (("sha256",), "AB", "sha256"),
        (("samples_ns",), [], "samples_ns"),
        (("samples_ns", 0), [], "samples_ns.0"),
        (("samples_ns", 3, 7), 0, "samples_ns.3.7"),
        (("samples_ns", 3, 7), 1.5, "samples_ns.3.7"),
        (("samples_ns", 3, 7), "1000", "samples_ns.3.7"),
        (("threads",), True, "threads"),
        (("init_ns",), [], "init_ns"),
        (("conditions",), {}, "cpu"),
        (("conditions", "delegate"), "XNNPACK", "delegate"),
        (("memory",), {}, "heap_bytes"),
        (("states",), [[{"mhz": "fast"}]], "states"),
    ],
)
def test_what_is_no_measurement(place, value, words):
    found = deepcopy(document())
    if not place:
        found = value
    else:
        inner = found
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
    with pytest.raises(BadInput, match=words):
        read_measurement(found, "x.json")


@pytest.mark.parametrize("name", ["file", "sha256", "samples_ns", "conditions", "memory"])
def test_what_misses_a_field(name):
    found = document()
    del found[name]
    with pytest.raises(BadInput, match=name):
        read_measurement(found, "x.json")
