"""Several devices at once, and a bench that goes on where it was cut off."""

import json
import threading

import pytest

from edgekit.errors import BadInput, DeviceError, EdgekitWarning, UsageError
from edgekit.measurement.bench import Setting
from edgekit.measurement.fleet import on_each
from edgekit.measurement.unfinished import Unfinished
from edgekit.progress import Progress, silent


def test_remote_ones_overlap_and_stand_in_the_order_asked():
    together = threading.Barrier(3, timeout=20)

    def work(device, progress):
        together.wait()  # breaks unless all three are at work at once
        yield f"{device} 1"
        yield f"{device} 2"

    found = on_each(("c", "a", "b"), work, silent)
    assert [(one.device, one.found, one.failure) for one in found] == [
        (name, (f"{name} 1", f"{name} 2"), None) for name in "cab"
    ]


def test_those_of_this_machine_take_turns():
    at_work = threading.Lock()

    def work(device, progress):
        assert device not in ("cpu", "gpu") or at_work.acquire(blocking=False)
        yield device
        if device in ("cpu", "gpu"):
            at_work.release()

    found = on_each(("gpu", "pi", "cpu"), work, silent)
    assert [one.found for one in found] == [("gpu",), ("pi",), ("cpu",)]


def test_one_that_fails_loses_nothing_of_the_others_nor_what_it_finished():
    def work(device, progress):
        yield f"{device} 1"
        if device == "b":
            raise DeviceError("b is gone.", "Look.")
        yield f"{device} 2"

    found = on_each(("a", "b", "c"), work, silent)
    assert [one.found for one in found] == [("a 1", "a 2"), ("b 1",), ("c 1", "c 2")]
    assert [bool(one.failure) for one in found] == [False, True, False]
    assert found[1].to_json() == {"device": "b", "code": "device", "message": "b is gone.", "remedy": "Look."}


def test_where_nothing_was_finished_the_first_failure_is_raised():
    def work(device, progress):
        raise BadInput(f"{device} cannot.")
        yield

    with pytest.raises(BadInput, match="a cannot"):
        on_each(("a", "b"), work, silent)


@pytest.mark.parametrize("error", [UsageError("no."), ZeroDivisionError()])
def test_what_is_no_device_s_fault_is_raised(error):
    def work(device, progress):
        yield device
        if device == "b":
            raise error

    with pytest.raises(type(error)):
        on_each(("a", "b"), work, silent)


def test_progress_is_that_of_all():
    seen, turn = [], threading.Semaphore(0)

    def work(device, progress):
        if device == "a":
            progress(Progress("bench", 1, 5, "m.tflite"))
            turn.release()
        else:
            turn.acquire(timeout=20)
            progress(Progress("send", 3, 40, "MB of numpy"))
            progress(Progress("bench", 2, 5, "m.tflite"))
        yield device

    on_each(("a", "b"), work, seen.append)
    assert seen == [
        Progress("bench", 1, 5, "a: m.tflite"), Progress("bench", 1, 5, "b: send 3/40 MB of numpy"),
        Progress("bench", 3, 10, "b: m.tflite"),
    ]  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "edgekit" / "unfinished"


def side_by_side():
    from edgekit.measurement.bench import SideBySide, comparisons_of
    from tests.measurement.example import measured

    both = (measured("a.tflite"), measured("b.tflite", seed=1))
    return SideBySide(both, comparisons_of(both))


def test_the_same_command_finds_what_was_finished_and_another_does_not(cache):
    found, asked = side_by_side(), {"files": [["a", "0"]]}
    one, other = Setting(device="cpu"), Setting(threads=2, device="cpu")
    Unfinished(asked, 2).keep(one, found)
    again = Unfinished(asked, 2)
    assert again.finished(other) is None and Unfinished({"files": []}, 2).finished(one) is None
    with pytest.warns(EdgekitWarning, match=r"cpu \(threads 1\) was measured .* it goes on from there"):
        assert again.finished(one) == found
    again.done()
    assert again.finished(one) is None and list(cache.iterdir()) == []


def test_what_was_damaged_or_is_old_is_measured_again(cache, monkeypatch):
    one, kept = Setting(), Unfinished({}, 2)
    kept.keep(one, side_by_side())
    (file,) = cache.glob("*/*.json")
    whole = file.read_text()
    for text in (whole[:-10], "[]", json.dumps({**json.loads(whole), "measurements": [{}]})):
        file.write_text(text)
        assert kept.finished(one) is None
    file.write_text(whole)
    monkeypatch.setattr("edgekit.measurement.unfinished.SECONDS", -1)
    assert kept.finished(one) is None


def test_a_single_part_is_not_kept(cache):
    Unfinished({}, 1).keep(Setting(), side_by_side())
    assert not cache.exists()
