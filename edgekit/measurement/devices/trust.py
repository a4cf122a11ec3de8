"""Which host keys are believed: those that the user accepted here, and those of the user's own known_hosts files.

Accepted keys stand in a known_hosts file of edgekit's own, beside devices.toml; the user's are never written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import write_text
from edgekit.errors import BadInput, DeviceError
from edgekit.measurement.devices.inventory import devices_file

if TYPE_CHECKING:
    import asyncssh

SSH_PORT = 22


class UnknownHostKey(DeviceError):
    """A host that is met for the first time; `fingerprint` is what `accept` takes."""

    code = "unknown-host-key"

    def __init__(self, host: str, kind: str, fingerprint: str) -> None:
        super().__init__(
            f"The host key of {host} is not known: {kind} {fingerprint}.",
            "Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there (or its kind's), then give "
            f"edgekit device add, or check, --accept-host-key {fingerprint}",
        )
        self.host, self.kind, self.fingerprint = host, kind, fingerprint


def known_hosts_file() -> Path:
    return devices_file().with_name("known_hosts")


def read_known(users: Iterable[str | Path]) -> asyncssh.SSHKnownHosts:
    """edgekit's own file and the user's, as far as they exist. Raises BadInput that names a damaged one."""
    import asyncssh

    known = asyncssh.SSHKnownHosts()
    for path in (known_hosts_file(), *(Path(one).expanduser() for one in users)):
        if not path.is_file() or not os.access(path, os.R_OK):
            continue
        try:
            known.load(path.read_text("utf-8"))
        except ValueError as error:  # of the decoder too
            raise BadInput(f"{path} is no known_hosts file: {error}.", "Correct or remove that line.") from None
    return known


@dataclass
class Judge:
    """Says of a host's key whether it may be taken: where one is known for the host only that one, else only the one
    whose fingerprint was accepted. `accept` is a fingerprint as ssh-keygen -l prints it."""

    known: asyncssh.SSHKnownHosts
    accept: str | None = None
    has_key: bool = field(default=False, init=False)
    refused: DeviceError | None = field(default=None, init=False)

    def look_up(self, host: str, address: str, port: int | None) -> Any:
        """The keys that are known of a host, those of authorities, and the revoked ones: asyncssh asks once."""
        keys, authorities, revoked, *_ = self.known.match(host, address, port)
        self.has_key = bool(keys or authorities)
        return keys, authorities, revoked

    def believes(self, host: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether a key that no file holds may be taken; one that was accepted is kept."""
        fingerprint, kind = key.get_fingerprint(), key.get_algorithm()
        if self.has_key:
            self.refused = changed(host, f"{kind} {fingerprint}")
        elif fingerprint == self.accept:
            _store(host, port, key)
            return True
        elif self.accept:
            self.refused = DeviceError(
                f"The host key of {host} is {kind} {fingerprint}, not the accepted {self.accept}.",
                "Find out which is right before you go on.",
            )
        else:
            self.refused = UnknownHostKey(host, kind, fingerprint)
        return False


def changed(host: str, seen: str) -> DeviceError:
    """The error for a host whose key is not the one that is known: another machine, or one set up anew."""
    return DeviceError(
        f"The host key of {host} is not the known one: {seen}. It was set up anew, or it is another machine.",
        f"If you trust it, take its old line out of {known_hosts_file()} or out of ~/.ssh/known_hosts.",
    )


def _store(host: str, port: int, key: asyncssh.SSHKey) -> None:
    path = known_hosts_file()
    before = path.read_text("utf-8") if path.exists() else ""
    place = host if port == SSH_PORT else f"[{host}]:{port}"
    line = f"{place} {key.export_public_key().decode().strip()}\n"
    write_text(path, before + ("\n" if before and not before.endswith("\n") else "") + line)
