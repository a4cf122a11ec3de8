"""A fresh Raspberry Pi, as far as it can be had without one: arm64 programs behind OpenSSH's sshd (fakepi.py)."""

import csv
import io
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.bench import bench
from edgekit.measurement.devices import connection
from edgekit.measurement.devices.inventory import Device, add_device
from edgekit.measurement.emulated.userland import read_userland
from edgekit.measurement.session import Wanted, measure
from tests import tiny
from tests.cli.test_evaluate import as_json
from tests.measurement.devices.bare import wheel_at
from tests.measurement.devices.server import Server, serving

pytestmark = pytest.mark.pi
FEW = ("--quick", "--processes", "1", "--runs", "5", "--seconds", "0")
QUICK = {"protocol": "quick", "processes": 1, "min_runs": 5, "min_seconds": 0.0}


def wheels_of(site: Path, folder: Path) -> Path:
    """The aarch64 wheels that were unpacked into a site, as pip would load them."""
    folder.mkdir()
    for record in site.glob("*.dist-info/RECORD"):
        rows = csv.reader(io.StringIO(record.read_text("utf-8")))
        files = {name: (site / name).read_bytes() for name, told, _ in rows if told}
        stem = record.parent.name.removesuffix(".dist-info")
        wheel_at(folder / f"{stem}-cp311-cp311-manylinux_2_17_aarch64.whl", files, record.parent.name)
    return folder


@pytest.fixture(scope="session")
def houses(fakepi_at_work, tmp_path_factory) -> dict[str, Path]:
    """Runtime -> a folder with its wheels."""
    userland, folder = read_userland(), tmp_path_factory.mktemp("houses")
    return {name: wheels_of(userland.site(name), folder / name) for name in ("ai-edge-litert", "tflite-runtime")}


@pytest.fixture
def pi(fakepi_at_work, houses, user, monkeypatch, tmp_path_factory):
    """The device, which nobody knows yet; what is on its disk stays from one test to the next."""
    fakepi_at_work.reboot()
    (fakepi_at_work.home / "filler").unlink(missing_ok=True)
    (user / ".ssh" / "id_ed25519").write_bytes(fakepi_at_work.key.read_bytes())
    (user / ".ssh" / "id_ed25519.pub").unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(houses["ai-edge-litert"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache-for-pi"))
    return fakepi_at_work


@pytest.fixture
def known(pi, user) -> Device:
    """It was added, and its host key is known."""
    (user / ".ssh" / "known_hosts").write_text(pi.known_hosts_line)
    device = Device(name="rpi", host=pi.host, user=pi.user, port=pi.port)
    add_device(device)
    return device


def leftovers(pi) -> list[str]:
    return sorted(path.name for path in (pi.home / ".cache" / "edgekit").glob("session-*"))


def wait_for(what, seconds: float = 60.0):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)
    return found


def agents(pi) -> list[int]:
    """The processes that work in a session's folder."""
    found = []
    for pid in pi.processes("python3"):
        try:
            if "session-" in str(Path(f"/proc/{pid}/cwd").readlink()):
                found.append(pid)
        except OSError:
            pass
    return found


@pytest.mark.slow
def test_from_a_fresh_device_to_an_evaluation(pi, capfd, tmp_path):
    pi.clean()
    address = f"{pi.user}@{pi.host}:{pi.port}"
    code, found = as_json(capfd, "device", "add", "rpi", address)
    assert code == 4 and found["error"]["code"] == "unknown-host-key" and pi.fingerprint in found["error"]["message"]
    code, found = as_json(capfd, "device", "add", "rpi", address, "--accept-host-key", pi.fingerprint)
    assert code == 0 and found["result"]["architecture"] == "aarch64" and found["result"]["board"] == pi.board.title
    assert found["result"]["modules"]["numpy"] is None and found["result"]["kept"] == {}

    code, found = as_json(capfd, "bench", tiny.path("int8"), "--device", "rpi", *FEW)
    (row,) = found["result"]["files"]
    assert code == 0 and row["conditions"]["machine"] == "aarch64" and row["conditions"]["board"] == pi.board.title
    assert row["conditions"]["runtime"].startswith("ai-edge-litert ") and row["conditions"]["governor"] == "ondemand"
    assert {(state["celsius"], state["firmware"]) for state in row["states"][0]} == {(48.2, 0.0)}
    assert row["valid"] is True

    images = str(tiny.folder(tmp_path / "images", 30))
    code, found = as_json(
        capfd, "evaluate", tiny.path("int8"), "--data", images, "--preprocess", "raw", "--device", "rpi"
    )
    there = found["result"]["files"][0]["on_device"]
    assert code == 0 and there["conditions"]["machine"] == "aarch64" and there["equal_outputs"]["value"] == 1.0
    assert there["agreement"]["value"] == 1.0 and there["max_difference"] == 0.0 and leftovers(pi) == []
    code, found = as_json(capfd, "device", "check", "rpi")
    assert len(found["result"]["kept"]) == 2


@pytest.mark.slow
def test_a_voltage_that_falls_makes_it_invalid(pi, known):
    bits = pi.sys / "devices/platform/soc/soc:firmware/get_throttled"
    try:
        bits.write_text("50005\n")
        found = bench(tiny.path("int8"), device="rpi", **QUICK)
    finally:
        bits.write_text("0\n")
    assert found.verdict.name == "throttled" and found.summary()["valid"] is False
    assert "the board's supply voltage was too low" in found.doubts


@pytest.mark.slow
def test_tflite_runtime_through_a_jump_host(pi, user, capfd, monkeypatch, houses, tmp_path):
    pi.clean()
    monkeypatch.setenv("PIP_FIND_LINKS", str(houses["tflite-runtime"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jump = Server(tmp_path, {})
    with serving(jump, (pi.key.with_name("settings") / "authorized_keys").read_bytes()):
        (user / ".ssh" / "config").write_text(
            f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\nHost board\n  HostName {pi.host}\n"
            f"  Port {pi.port}\n  User pi\n  ProxyJump jump\n"
        )
        line = f"[127.0.0.1]:{jump.port} {jump.key.export_public_key().decode()}"
        (user / ".ssh" / "known_hosts").write_text(line + pi.known_hosts_line)
        assert as_json(capfd, "device", "add", "rpi", "board")[0] == 0
        images = str(tiny.folder(tmp_path / "images", 12))
        words = ("--data", images, "--preprocess", "raw", "--device", "rpi")
        code, found = as_json(capfd, "evaluate", tiny.path("int8"), *words)
    assert code == 0, found["error"]
    there = found["result"]["files"][0]["on_device"]
    assert there["conditions"]["runtime"].startswith("tflite-runtime 2.14")
    assert there["conditions"]["machine"] == "aarch64" and there["equal_outputs"]["value"] == 1.0
    assert len(jump.connections) == 2


def test_a_wrong_host_key_is_refused(pi, user, capfd):
    import asyncssh

    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    (user / ".ssh" / "known_hosts").write_text(f"[{pi.host}]:{pi.port} {other}")
    code, found = as_json(capfd, "device", "add", "rpi", f"pi@{pi.host}:{pi.port}", "--accept-host-key", pi.fingerprint)
    assert code == 4 and "is not the known one" in found["error"]["message"]


def test_a_full_card(pi, known):
    pi.clean()
    pi.fill(80_000_000)
    with pytest.raises(DeviceError, match=r"rpi has \d+ MB free, and ai-edge-litert and numpy need \d+ MB"):
        bench(tiny.path("int8"), device="rpi", **QUICK)
    assert list((pi.home / ".cache" / "edgekit" / "packages").glob("*-*")) == [] and leftovers(pi) == []


FAILURES = {
    "the connection is cut": (lambda pi: pi.cut(), "connection to rpi .* was lost|rpi gave no answer"),
    "the agent is killed": (
        lambda pi: [os.kill(pid, signal.SIGKILL) for pid in agents(pi)],
        "rpi gave no answer: it was ended by signal KILL",
    ),
    "it hangs": (lambda pi: pi.freeze(), "connection to rpi .* was lost|rpi gave no answer"),
    "it is rebooted": (lambda pi: pi.reboot(), "connection to rpi .* was lost|rpi gave no answer"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_on_the_way(pi, known, monkeypatch, tmp_path, case):
    """Its one sentence, what was finished is kept, nothing stays on the device, and the same command goes on."""
    harm, words = FAILURES[case]
    monkeypatch.setattr(connection, "ALIVE_SECONDS", 1.0)
    wanted = Wanted(
        files=(tiny.path("int8"),), devices=("rpi",), threads=(1, 2), quick=True, processes=1, runs=5, seconds=3.0,
        store=tmp_path / "store",
    )  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    connected, harming = [], []

    def progress(seen):
        connected.extend([seen] * (seen.stage == "connect" and seen.done == 0))
        if len(connected) == 2 and seen.stage == "bench" and not harming:
            harming.append(threading.Thread(target=lambda: (wait_for(lambda: agents(pi)), harm(pi))))
            harming[0].start()

    done = measure(wanted, progress)
    harming[0].join()
    pi.thaw()
    failure = done.failed
    assert isinstance(failure, DeviceError) and failure.exit_code == 4 and "\n" not in str(failure)
    with pytest.raises(DeviceError, match=words):
        raise failure
    assert [one.threads for one in done.measurements] == [1]
    if case != "it is rebooted":  # then the next command removes what stays
        wait_for(lambda: not leftovers(pi) and not agents(pi))
    with pytest.warns(match=r"rpi \(threads 1\) was measured .*, before this command was cut off"):
        again = measure(wanted)
    assert again.failed is None and [one.threads for one in again.measurements] == [1, 2] and leftovers(pi) == []
