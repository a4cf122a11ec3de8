import json
import platform
import shlex
import struct
import sys

import numpy
import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.facts import look

PI4 = {
    "edgekit": 1, "ok": True, "machine": "aarch64", "elf": [2, 183], "pointer_bits": 64, "byte_order": "little",
    "python": [3, 11, 2], "libc": "glibc 2.36", "system": "Debian GNU/Linux 12 (bookworm)",
    "board": "Raspberry Pi 4 Model B Rev 1.4", "cores": 4, "memory_bytes": 3_984_000_000, "free_bytes": 20_000_000_000,
    "modules": {"numpy": "1.24.2", "ai_edge_litert": None, "tflite_runtime": "", "tensorflow": None},
}  # fmt: skip


def test_this_machine_as_a_device(server, device):
    with Connection(device, server.fingerprint) as connection:
        found = look(connection)
    assert found.machine == platform.machine() and found.architecture == platform.machine()
    assert found.pointer_bits == struct.calcsize("P") * 8 and found.python == sys.version_info[:3]
    assert found.modules["numpy"] == numpy.__version__ and found.cores >= 1
    assert found.free_bytes > 0 and found.libc.startswith("glibc ")
    assert not (server.home / ".cache").exists()


def told(server, device, **changes):
    said = json.dumps({**PI4, **changes})
    server.command = f"echo Welcome; printf '%s\\n' {shlex.quote(said)}"
    with Connection(device, server.fingerprint) as connection:
        return look(connection)


def test_a_pi(server, device):
    found = told(server, device)
    assert found.architecture == "aarch64" and found.to_json()["python"] == "3.11.2"
    assert "elf" not in found.to_json() and found.modules["tflite_runtime"] == ""


def test_a_64_bit_kernel_with_32_bit_programs(server, device):
    assert told(server, device, elf=[1, 40], pointer_bits=32).architecture == "armv7l"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"machine": "x86_64"}, "contradicts itself: it says x86_64 and 64 bit, but its python3 is aarch64"),
        ({"pointer_bits": 32}, "contradicts itself"),
        ({"elf": [2, 8]}, "a processor that edgekit has nothing for"),
        ({"elf": None}, "none: elf"),
        ({"elf": [2, 183, 1]}, "none: elf"),
        ({"python": [3, 7, 3]}, "has Python 3.7.3, which is too old"),
        ({"free_bytes": 1_000_000}, "has 1 MB free"),
        ({"free_bytes": -1}, "none: free_bytes"),
        ({"free_bytes": "1e9"}, "none: free_bytes"),
        ({"free_bytes": 10**40}, "none: free_bytes"),
        ({"cores": True}, "none: cores"),
        ({"board": "Pi\u001b[2J"}, "none: board"),
        ({"board": "Pi\u202e4"}, "none: board"),
        ({"board": "x" * 10_000}, "none: board"),
        ({"modules": {"numpy\n": "1"}}, "none: modules"),
        ({"modules": {str(n): "" for n in range(100)}}, "none: modules"),
        ({"more\u001b": 1}, "none: a field that is not known"),
        ({"ok": False}, "none: "),
    ],
)
def test_an_answer_that_is_wrong(server, device, changes, words):
    if changes.get("ok") is False:
        changes = {"ok": False, "machine": 1}
    with pytest.raises(DeviceError, match=words) as refused:
        told(server, device, **changes)
    assert str(refused.value).isprintable()
