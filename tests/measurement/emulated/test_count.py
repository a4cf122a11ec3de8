"""Counting for real, under QEMU, where it is set up."""

import hashlib
import json
import os
import shutil
import threading

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.measurement import host
from edgekit.measurement.emulated import emulator
from edgekit.measurement.emulated.count import Marks, agreement, count_instructions, read_marks
from edgekit.measurement.emulated.userland import read_userland
from edgekit.measurement.host import this_machine
from tests import tiny
from tests.cli.test_evaluate import as_json, run

READY = shutil.which("qemu-aarch64") is not None and read_userland() is not None
pytestmark = pytest.mark.pi
emulated = pytest.mark.skipif(not READY, reason="needs qemu-user and edgekit device setup emulated")


@pytest.fixture(scope="module")
def counts():
    """int8 on the Raspberry Pi 5, two processes."""
    return count_instructions(tiny.path("int8_io"), device="rpi5:emulated", processes=2)


@emulated
def test_the_count_is_equal_over_processes_and_inferences(counts):
    assert counts.spread == 0 and len(counts.each) == 6 and counts.doubts == ()
    assert 1_000 < counts.instructions < 1_000_000
    assert counts.sha256 == hashlib.sha256(tiny.tflite("int8_io")).hexdigest() and counts.core == "cortex-a76"


@emulated
def test_it_is_the_real_runtime_on_arm64_with_this_machines_answers(counts):
    seen = counts.conditions
    assert seen["machine"] == "aarch64" and "asimddp" in seen["features"] and seen["cpu"].startswith("Raspberry Pi 5")
    assert seen["delegate"]["name"] == "XNNPACK" and seen["runtime"].startswith("ai-edge-litert ")
    assert counts.outputs.equal and counts.outputs.values == 2 * tiny.CLASSES and counts.computes == "int8"


@emulated
def test_the_operators_are_most_of_it(counts):
    assert counts.operators, counts.operators_refused
    total = sum(one.instructions for one in counts.operators)
    assert 0.3 * counts.instructions < total < counts.instructions + 20_000
    assert sum(one.share for one in counts.operators) == pytest.approx(1.0)


@emulated
def test_the_command_gates_on_it(capfd, tmp_path):
    words = ("bench", tiny.path("int8_io"), "--device", "rpi5:emulated", "--quick")
    code, out, _ = run(capfd, *words, "--out", tmp_path / "first.json", "--store", tmp_path / "store")
    assert code == 0 and "bit for bit as here" in out and "cortex-a76" in out and "ms [95 %]" not in out
    kept = json.loads((tmp_path / "first.json").read_text())
    (file,) = kept["instructions"]
    assert kept["files"] == [] and file["n"] == 3
    file["counts"] = [[count - count // 10 for count in process] for process in file["counts"]]
    (tmp_path / "fewer.json").write_text(json.dumps(kept))
    code, found = as_json(capfd, *words, "--no-store", "--baseline", tmp_path / "fewer.json")
    assert code == 1 and "% more instructions on rpi5:emulated" in found["error"]["message"]
    assert found["result"]["gate"][0]["verdict"] == "regressed"
    code, found = as_json(capfd, "bench", "--compare", "--device", "rpi5:emulated", "--store", tmp_path / "store")
    assert code == 0 and [one["instructions"] for one in found["result"]["instructions"]] == [file["instructions"]]


@emulated
def test_two_that_queue_say_so(tmp_path):
    from edgekit.measurement.session import Wanted, measure

    notes, holding = [], this_machine(lambda _: None)
    holding.__enter__()
    waits = threading.Event()

    def progress(seen):
        notes.append(seen.note)
        if seen.note.startswith("waiting") and not waits.is_set():
            waits.set()
            release.start()

    release = threading.Timer(0.1, holding.__exit__, (None, None, None))
    devices = ("rpi4:emulated", "rpi5:emulated")
    done = measure(Wanted(files=(tiny.path("int8_io"),), devices=devices, quick=True, no_store=True), progress)
    assert "emulated devices take turns: rpi4:emulated, then rpi5:emulated" in notes
    assert "waiting for another bench on this machine" in notes
    assert [one.device for one in done.counted.counts] == list(devices) and done.measurements == ()
    assert done.counted.counts[0].instructions > done.counted.counts[1].instructions  # no dot products on the 4


def test_without_qemu(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match=r"qemu-aarch64 is not installed.*sudo apt install qemu-user"):
        count_instructions("none.tflite", device="rpi4:emulated")


def test_a_qemu_without_plugins(monkeypatch, tmp_path):
    fake = tmp_path / "qemu-aarch64"
    fake.write_text("#!/bin/sh\necho qemu-aarch64 version 7.2.22\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DeviceError, match="is built without plugins"):
        emulator.find_qemu()


def test_an_unknown_board_and_no_processes():
    with pytest.raises(UsageError, match="Unknown emulated device 'rpi4'"):
        count_instructions("none.tflite", device="rpi4")
    with pytest.raises(UsageError, match="processes is 0"):
        count_instructions("none.tflite", device="rpi4:emulated", processes=0)


def test_a_plugin_that_wrote_nothing(tmp_path):
    with pytest.raises(DeviceError, match="counted nothing"):
        read_marks(tmp_path / "none", 1)
    (tmp_path / "few").write_text("mark 0 100\nmark 1 300\nmark 2 310\nclock 400\nmark 3 500\n")
    assert read_marks(tmp_path / "few", 1) == Marks({0: 100, 1: 300, 2: 310, 3: 500}, (400,))
    with pytest.raises(DeviceError, match="did not count every inference"):
        read_marks(tmp_path / "few", 2)


def test_other_outputs_are_seen():
    here = host.ask({"kind": "outputs", "model": str(tiny.path("float32")), "inputs": 2}, 60)
    assert agreement(here, here).equal
    told = json.loads(json.dumps(here))
    told["outputs"][1][0]["data"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    found = agreement(told, here)
    assert found.inputs == 2 and 0 < found.differing <= tiny.CLASSES and found.max_relative == 1.0
    with pytest.raises(DeviceError, match="other inputs"):
        agreement({**here, "fed": "0"}, here)
