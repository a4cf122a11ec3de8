import json

import pytest

from edgekit.errors import BadInput
from edgekit.measurement.emulated.record import read_count
from tests.measurement.emulated.example import counted


def test_marking_is_no_part_of_an_inference():
    found = counted(counts=((1000, 1002), (1001, 1001)), marking=(100, 99))
    assert found.each == (900, 902, 902, 902) and found.instructions == 902 and found.spread == 2
    assert found.doubts == ("inferences differ by 2 instructions",)
    assert counted().spread == 0 and counted().doubts == ()


def test_json_and_back():
    found = counted()
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["instructions"] == 4_000_000 and document["outputs"]["equal"] is True
    assert read_count({**document, "instructions": 1, "spread": 7}, "x.json") == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counts": []}, "counts"),
        ({"counts": [[0]]}, "counts.0.0"),
        ({"sha256": "x"}, "sha256"),
        ({"outputs": {"inputs": 1}}, "outputs.values"),
        ({"marking": [1]}, "argument 2 is shorter"),
    ],
)
def test_what_is_none_is_refused_by_name(change, said):
    with pytest.raises(BadInput, match=f"x.json is no count of instructions: .*{said}"):
        read_count({**counted().to_json(), **change}, "x.json")
    with pytest.raises(BadInput, match="x.json is no count"):
        read_count([], "x.json")
