import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.measurement.bench import Setting
from edgekit.measurement.sweep import settings, sweep
from tests import tiny

FAST = {"processes": 1, "min_runs": 5, "min_seconds": 0.0, "protocol": "quick"}


def test_every_combination():
    assert settings() == (Setting(),)
    assert settings((1, 2), (8,), "both") == (
        Setting(1, 8, True), Setting(1, 8, False), Setting(2, 8, True), Setting(2, 8, False),
    )  # fmt: skip
    with pytest.raises(UsageError, match="Unknown way to use XNNPACK 'yes'"):
        settings(xnnpack="yes")
    with pytest.raises(UsageError, match="batch is 0"):
        settings(batches=(0,))


def test_one_row_a_setting():
    found = sweep([tiny.path("int8")], settings((1, 2), (1, 4)), **FAST)
    rows = [(one.threads, one.batch) for setting in found for one in setting.measurements]
    assert rows == [(1, 1), (1, 4), (2, 1), (2, 4)] and not any(setting.comparisons for setting in found)


def test_files_are_compared_under_each_setting():
    found = sweep([tiny.path("int8"), tiny.path("float32")], settings(xnnpack="both"), **FAST)
    assert [len(setting.comparisons) for setting in found] == [1, 1]
    assert [one.xnnpack for setting in found for one in setting.measurements] == [True, True, False, False]


def test_nothing_is_measured_where_a_batch_cannot_be():
    seen = []
    with pytest.raises(BadInput, match="fixed.tflite cannot take a batch of 3"):
        sweep([tiny.path("int8"), tiny.path("fixed")], settings(batches=(1, 3)), **FAST, progress=seen.append)
    assert seen == []
