"""Several devices by one command, and one that fails on the way."""

import time

import pytest

from edgekit.errors import DeviceError, EdgekitWarning, UsageError
from edgekit.measurement.devices.inventory import Device, add_device
from edgekit.measurement.session import Wanted, measure
from edgekit.measurement.store import stored
from tests import tiny
from tests.cli.test_evaluate import as_json, run
from tests.measurement.devices.conftest import leftovers, on_the_device
from tests.measurement.devices.server import Server, serving
from tests.measurement.test_place import added  # noqa: F401 - a fixture

FEW = ("--quick", "--processes", "1", "--runs", "5", "--seconds", "0")


@pytest.fixture
def another(added, user, tmp_path):  # noqa: F811
    """A second device, pj."""
    (tmp_path / "second").mkdir()
    made = Server(tmp_path / "second" / "device", on_the_device(tmp_path / "second"))
    with serving(made, (user / ".ssh" / "id_ed25519.pub").read_bytes()):
        add_device(Device(name="pj", host="127.0.0.1", user="pi", port=made.port))
        with (user / ".ssh" / "known_hosts").open("a") as known:
            known.write(f"[127.0.0.1]:{made.port} {made.key.export_public_key().decode()}")
        yield made


def test_results_in_the_order_asked_and_one_failure_loses_none(added, another, capfd, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    add_device(Device(name="gone", host="127.0.0.1", port=1))
    words = ("bench", tiny.path("int8"), "--device", "pj", "--device", "gone", "--device", "pi", *FEW)
    code, found = as_json(capfd, *words, "--no-store")
    assert code == 4 and "gone (127.0.0.1:1) cannot be reached" in found["error"]["message"]
    assert [one["device"] for one in found["result"]["files"]] == ["pj", "pi"]
    (failure,) = found["result"]["failures"]
    assert failure["device"] == "gone" and failure["code"] == "device"
    assert [len(one.connections) for one in (added, another)] == [1, 1] and leftovers(added) == leftovers(another) == []

    folder = tmp_path / "store"
    code, out, err = run(capfd, *words, "--store", folder)  # the same one goes on: gone is tried again, the others not
    assert code == 4 and "pj was measured" not in err and "pj (threads 1) was measured" in err
    assert "gone failed: gone (127.0.0.1:1) cannot be reached" in out and "pi: " in out
    assert [len(one.connections) for one in (added, another)] == [1, 1] and stored(folder) == ()


def test_a_device_named_twice():
    with pytest.raises(UsageError, match="names one device twice"):
        Wanted(devices=("cpu", "cpu"))


def test_a_cut_loses_no_setting_that_was_finished_and_the_same_command_goes_on(added, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wanted = Wanted(
        files=(tiny.path("int8"),), devices=("pi",), threads=(1, 2), quick=True, processes=1, runs=5, seconds=0.0,
        store=tmp_path / "store",
    )  # fmt: skip

    def cut_in_the_second(seen):
        if len(added.connections) == 2 and seen.stage == "bench":
            added.cut()

    done = measure(wanted, cut_in_the_second)
    assert [one.threads for one in done.measurements] == [1]
    assert isinstance(done.failed, DeviceError) and done.failed.exit_code == 4
    assert [one.threads for one in stored(tmp_path / "store")] == [1]
    end = time.monotonic() + 10
    while leftovers(added):
        assert time.monotonic() < end, "the folder stays"
        time.sleep(0.05)

    with pytest.warns(EdgekitWarning, match=r"pi \(threads 1\) was measured .*, before this command was cut off"):
        again = measure(wanted)
    assert again.failed is None and [one.threads for one in again.measurements] == [1, 2]
    assert again.measurements[0] == done.measurements[0] and len(added.connections) == 3
    assert [one.threads for one in stored(tmp_path / "store")] == [1, 2]
    assert measure(wanted).failed is None and len(added.connections) == 5  # nothing is left to go on from
