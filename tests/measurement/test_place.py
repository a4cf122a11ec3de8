"""edgekit bench on a device, through the same code as on this machine."""

import hashlib
import json
import shlex
import threading
import time

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.measurement.bench import bench, side_by_side
from edgekit.measurement.devices.inventory import add_device
from edgekit.measurement.devices.trust import UnknownHostKey
from edgekit.measurement.session import Wanted
from tests import tiny
from tests.cli.test_evaluate import as_json
from tests.measurement.devices.conftest import device, leftovers, server, user  # noqa: F401 - fixtures
from tests.measurement.devices.test_facts import PI4

FEW = {"protocol": "quick", "processes": 1, "min_runs": 10, "min_seconds": 0.0}


@pytest.fixture(autouse=True)
def files():
    for name in ("float32", "int8"):
        tiny.path(name)


@pytest.fixture
def added(server, device, user):  # noqa: F811
    add_device(device)
    key = server.key.export_public_key().decode()
    (user / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {key}")
    return server


def test_one_file(added):
    found = bench(tiny.path("int8"), device="pi", **FEW)
    assert found.device == "pi" and len(found.samples_ns[0]) >= 10 and found.memory["heap_bytes"] > 0
    assert found.sha256 == hashlib.sha256(tiny.tflite("int8")).hexdigest() and found.file == str(tiny.path("int8"))
    assert leftovers(added) == []


def test_files_in_turns(added):
    found = side_by_side([tiny.path("float32"), tiny.path("int8")], device="pi", **{**FEW, "processes": 2})
    assert [one.device for one in found.measurements] == ["pi", "pi"] and found.comparisons[0].n == 2
    assert len(added.connections) == 1


def test_the_command(added, capfd):
    words = ("--device", "pi", "--quick", "--processes", "1", "--runs", "10", "--seconds", "0")
    code, found = as_json(capfd, "bench", tiny.path("int8"), *words)
    assert code == 0 and found["result"]["files"][0]["device"] == "pi"


def test_a_device_that_no_runtime_is_for(added):
    said = json.dumps({**PI4, "elf": [1, 40], "pointer_bits": 32, "modules": {"numpy": None}})
    added.command = f"printf '%s\\n' {shlex.quote(said)}"
    with pytest.raises(DeviceError, match="pi has a 32-bit system without numpy"):
        bench(tiny.path("int8"), device="pi", **FEW)


def test_a_connection_that_is_cut_in_the_middle(added):
    cut = threading.Timer(0.3, added.cut)

    def progress(seen):
        if seen.note == "int8.tflite" and not cut.is_alive() and cut.ident is None:
            cut.start()

    with pytest.raises(DeviceError, match="connection to pi .* was lost|pi gave no answer: the connection ended"):
        bench(tiny.path("int8"), device="pi", processes=1, min_runs=10, min_seconds=30.0, progress=progress)
    end = time.monotonic() + 10
    while leftovers(added):
        assert time.monotonic() < end, "the folder stays"
        time.sleep(0.05)


def test_an_unknown_host_key(server, device):  # noqa: F811
    add_device(device)
    with pytest.raises(UnknownHostKey, match="edgekit device add, or check, --accept-host-key SHA256:"):
        bench(tiny.path("int8"), device="pi", **FEW)


def test_what_is_not_added_or_not_of_devices(added):
    with pytest.raises(UsageError, match="Unknown device 'pie'. Did you mean 'pi'"):
        bench(tiny.path("int8"), device="pie", **FEW)
    with pytest.raises(UsageError, match="--with-preprocessing is of this machine"):
        Wanted(devices=("pi",), with_preprocessing=True)
