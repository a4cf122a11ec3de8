from edgekit.measurement.emulated import estimate as estimates
from edgekit.measurement.emulated.estimate import Estimate, estimate

FIGURES = {
    "rpi4:emulated": {
        "float32": {"nanoseconds": 0.5, "threads": 4, "error_percent": 12.0, "held": 2, "fewest": 10**7, "most": 10**8},
        "int8": {"refused": "it is off by up to 60 % on published latencies that were held back"},
    }
}


def test_it_is_called_an_estimate_and_stands_beside_its_error(monkeypatch):
    monkeypatch.setattr(estimates, "_figures", lambda: FIGURES)
    found = estimate(40_000_000, "rpi4:emulated", "float32")
    assert found == Estimate(20.0, 4, 12.0, 2)
    assert found.text == (
        "an estimate, not a measurement: 20 ms with 4 threads; on 2 published latencies held back it is off by up to "
        "12 %"
    )


def test_where_there_is_none_it_says_why(monkeypatch):
    monkeypatch.setattr(estimates, "_figures", lambda: FIGURES)
    assert "off by up to 60 %" in estimate(40_000_000, "rpi4:emulated", "int8")
    assert "compute in dynamic" in estimate(40_000_000, "rpi4:emulated", "dynamic")
    assert "of about this size" in estimate(4_000_000, "rpi4:emulated", "float32")
    assert "one image" in estimate(40_000_000, "rpi4:emulated", "float32", batch=2)
    assert "of this board" in estimate(40_000_000, "rpi5:emulated", "float32")
