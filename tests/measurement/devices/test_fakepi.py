"""The Raspberry Pi next door is what the tests of devices believe it to be."""

import subprocess
import threading
import time

import pytest

pytestmark = pytest.mark.pi


def test_it_is_an_arm64_machine_with_nothing_but_python3(fakepi):
    said = fakepi.run(
        "python3 -c 'import platform, os; print(platform.machine(), platform.node(), os.getuid(), os.getcwd())'; "
        "python3 -c 'import numpy'; cat /sys/firmware/devicetree/base/model /proc/cpuinfo; ls -A"
    ).splitlines()
    assert said[:2] == ["aarch64 raspberrypi 1000 /home/pi", fakepi.board.title]
    assert "CPU part\t: 0xd08" in said and said[-1].startswith("Model")  # and no file in its home


def test_its_disk_fills(fakepi):
    fakepi.fill(100_000)
    said = fakepi.run("head -c 1000000 /dev/zero > file || true; stat -c %s file").split()
    assert 0 < int(said[-1]) < 200_000
    fakepi.clean()
    assert list(fakepi.home.iterdir()) == []


@pytest.mark.parametrize("how", ["cut", "reboot"])
def test_connections_break(fakepi, how):
    breaks = threading.Timer(0, lambda: (_wait_for(fakepi.home / "there"), getattr(fakepi, how)()))
    breaks.start()
    with pytest.raises(subprocess.CalledProcessError):
        fakepi.run("touch there; sleep 60")
    breaks.join()
    assert bool(fakepi.processes("sleep 60")) is (how == "cut")
    assert fakepi.run("echo alive") == "alive\n"


def _wait_for(path):
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
