import os
import subprocess
import time
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.folder import Folder
from tests.measurement.devices.conftest import leftovers

FILES = {"a.bin": bytes(range(256)) * 4000, "empty": b"", "b.txt": b"\r\n\0"}


def gone(server, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while leftovers(server) and time.monotonic() < end:
        time.sleep(0.05)
    return not leftovers(server)


def test_files_arrive_as_they_are_and_nothing_stays(server, device):
    with Connection(device, server.fingerprint) as connection:
        with Folder(connection, FILES) as folder:
            inside = Path(folder.path)
            assert {name: (inside / name).read_bytes() for name in FILES} == FILES
            assert inside.parent == server.home / ".cache" / "edgekit" and inside.stat().st_mode & 0o077 == 0
        assert leftovers(server) == []


def test_what_hangs_in_the_folder_is_ended_with_it(server, device):
    with Connection(device, server.fingerprint) as connection, Folder(connection, {}) as folder:
        hung = subprocess.Popen(["sleep", "600"], cwd=folder.path)
    assert hung.wait(10) == -9


def test_a_cut_connection_leaves_nothing(server, device):
    with (
        pytest.raises(DeviceError, match="lost|gave no answer"),
        Connection(device, server.fingerprint) as connection,
        Folder(connection, FILES),
    ):
        assert len(leftovers(server)) == 1
        server.cut()
        assert gone(server)


def test_the_next_one_removes_what_a_killed_one_left(server, device):
    left = server.home / ".cache" / "edgekit" / "session-old"
    left.mkdir(parents=True)
    (left / "keeper").touch()
    with Connection(device, server.fingerprint) as connection:
        with Folder(connection, {}), Folder(connection, {}) as second:
            assert len(leftovers(server)) == 2 and not left.exists() and Path(second.path).exists()
        assert leftovers(server) == []


def test_names_stay_in_the_folder(server, device):
    with Connection(device, server.fingerprint) as connection, Folder(connection, {"../../out": b"x"}) as folder:
        assert (Path(folder.path) / "out").read_bytes() == b"x" and not (server.home / ".cache" / "out").exists()


def test_a_card_that_cannot_be_written(server, device):
    (server.home / ".cache").write_text("a file")
    with (
        Connection(device, server.fingerprint) as connection,
        pytest.raises(DeviceError, match="cannot take edgekit's files: (Not a directory|File exists)"),
    ):
        Folder(connection, FILES).__enter__()


@pytest.mark.skipif(os.name != "posix", reason="a limit of the shell")
def test_a_full_card_leaves_nothing(server, device):
    server.command = 'ulimit -f 8; python3 -c "import sys; exec(sys.stdin.buffer.readline())"'
    with (
        Connection(device, server.fingerprint) as connection,
        pytest.raises(DeviceError, match="cannot take edgekit's files: File too large"),
    ):
        Folder(connection, FILES).__enter__()
    assert leftovers(server) == []
