"""The same over OpenSSH's own server, where it is installed."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import asyncssh
import pytest

from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.facts import look
from edgekit.measurement.devices.folder import Folder
from edgekit.measurement.devices.inventory import Device
from edgekit.measurement.devices.trust import UnknownHostKey

SSHD = shutil.which("sshd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
pytestmark = pytest.mark.skipif(SSHD is None or os.geteuid() != 0, reason="needs root and an installed sshd")


@pytest.fixture
def port(user, tmp_path, monkeypatch):
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "host_key")
    (tmp_path / "host_key").chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    (tmp_path / "sshd_config").write_text(
        f"Port {number}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host_key\nPidFile none\nUsePAM no\n"
        f"StrictModes no\nAuthorizedKeysFile {user}/.ssh/id_ed25519.pub\nPermitRootLogin yes\n"
        f"SetEnv XDG_CACHE_HOME={tmp_path}/cache\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL) as running:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", number)):
                    break
            time.sleep(0.05)
        yield number
        running.terminate()


def test_openssh(port, tmp_path):
    device = Device(name="pi", host="127.0.0.1", user="root", port=port)
    with pytest.raises(UnknownHostKey) as refused, Connection(device):
        pass
    with Connection(device, refused.value.fingerprint) as connection:
        assert look(connection).pointer_bits in (32, 64)
        with Folder(connection, {"a": b"x" * 1_000_000}) as folder:
            hung = subprocess.Popen(["sleep", "600"], cwd=folder.path)
            assert folder.path.startswith(f"{tmp_path}/cache/edgekit/session-")
        assert hung.wait(10) == -9
    assert list((tmp_path / "cache" / "edgekit").glob("session-*")) == []


def test_a_cut_connection_leaves_nothing(port, tmp_path):
    device = Device(name="pi", host="127.0.0.1", user="root", port=port)
    with pytest.raises(UnknownHostKey) as refused, Connection(device):
        pass
    connection = Connection(device, refused.value.fingerprint)
    with connection:
        Folder(connection, {"a": b"x"}).__enter__()
        assert len(list((tmp_path / "cache" / "edgekit").glob("session-*"))) == 1
    end = time.monotonic() + 10
    while list((tmp_path / "cache" / "edgekit").glob("session-*")):
        assert time.monotonic() < end, "the folder stays"
        time.sleep(0.05)
