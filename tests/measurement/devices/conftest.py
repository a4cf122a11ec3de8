"""A user with a home and a key of their own, and a device next door."""

import os
import sys
from pathlib import Path

import asyncssh
import pytest

from edgekit.measurement.devices.inventory import Device
from tests.measurement.devices import fakepi as fakepis
from tests.measurement.devices.server import Server, serving


@pytest.fixture
def user(tmp_path, monkeypatch) -> Path:
    """The home of a user whose key is ~/.ssh/id_ed25519."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(home / ".ssh" / "id_ed25519")
    key.write_public_key(home / ".ssh" / "id_ed25519.pub")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("EDGEKIT_DEVICES", str(home / "config" / "devices.toml"))
    return home


def on_the_device(tmp_path: Path) -> dict[str, str]:
    """Its environment: a home of its own, and this Python as python3."""
    (tmp_path / "device" / "bin").mkdir(parents=True)
    python = tmp_path / "device" / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return {"HOME": str(tmp_path / "device"), "PATH": f"{python.parent}:{os.defpath}", "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def server(user, tmp_path):
    """A device that the user's key opens, of a host key that nobody knows."""
    made = Server(tmp_path / "device", on_the_device(tmp_path))
    with serving(made, (user / ".ssh" / "id_ed25519.pub").read_bytes()):
        yield made


@pytest.fixture
def device(server) -> Device:
    return Device(name="pi", host="127.0.0.1", user="pi", port=server.port)


def leftovers(server: Server) -> list[str]:
    """What of edgekit's is on the device."""
    return sorted(path.name for path in (server.home / ".cache" / "edgekit").glob("session-*"))


@pytest.fixture(scope="session")
def fakepi_at_work(tmp_path_factory):
    if reason := fakepis.missing():
        pytest.skip(reason)
    with fakepis.running(tmp_path_factory.mktemp("fakepi")) as pi:
        yield pi


@pytest.fixture
def fakepi(fakepi_at_work) -> fakepis.FakePi:
    """An arm64 machine behind a real sshd, as after its first start: see fakepi.py."""
    fakepi_at_work.clean()
    return fakepi_at_work
