import itertools

from edgekit.measurement.emulated.operators import attributed

# As LiteRT tells of an inference of two parts of the graph with an operator between them.
EVENTS = [
    {"name": name, "kind": kind, "index": index}
    for name, kind, index in (
        ("LiteRT::Run[buffer registration]", 1, 0), ("invoke", 16, 2**64 - 1), ("Invoke", 1, 0),
        ("Convolution", 8, 0), ("Add", 8, 1), ("AVERAGE_POOL_2D", 2, 2), ("Fully Connected", 8, 0), ("SOFTMAX", 2, 4),
        ("Invoke", 32, 2**64 - 1), ("LiteRT::Run[Buffer sync]", 1, 0),
    )
]  # fmt: skip
# From one reading to the next: registration, invoke, Invoke; a part's begin, two operators; begin and end of one; a
# part of one operator; begin and end of the last; Invoke's, invoke's and the buffers' ends.
STEPS = [1, 1, 1, 7, 500, 40, 9, 60, 5, 30, 3, 20, 1, 1, 1, 1]
CLOCKS = [1000, *(1000 + total for total in itertools.accumulate(STEPS))]


def test_between_two_readings_lies_an_operator():
    found = attributed(EVENTS, CLOCKS)
    assert found == [
        {"op": "Convolution", "node": None, "partition": 0, "instructions": 500},
        {"op": "Add", "node": None, "partition": 0, "instructions": 40},
        {"op": "AVERAGE_POOL_2D", "node": 2, "partition": None, "instructions": 60},
        {"op": "Fully Connected", "node": None, "partition": 1, "instructions": 30},
        {"op": "SOFTMAX", "node": 4, "partition": None, "instructions": 20},
    ]


def test_what_does_not_fit_is_not_told():
    assert attributed(EVENTS, CLOCKS[:-1]) is None and attributed(EVENTS, [*CLOCKS, 9999]) is None
    assert attributed(EVENTS, CLOCKS[:6]) is None
    assert attributed([one for one in EVENTS if one["name"] != "Invoke"], CLOCKS) is None
