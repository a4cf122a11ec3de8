"""A Raspberry Pi next door: OpenSSH's own server on 127.0.0.1, whose sessions live in the emulated arm64 userland.

    def test_something(fakepi):                          # the fixture of conftest.py: fresh, with an empty home
        Device(name="pi", host=fakepi.host, user=fakepi.user, port=fakepi.port)
        fakepi.key, fakepi.known_hosts_line              # a private key that opens it, and what known_hosts would say
        fakepi.run("python3 -c 'import platform; print(platform.machine())'")     # aarch64, 0.6 s
        (fakepi.home / ".cache").exists()                # its disk; fakepi.fill(1000) leaves 1,000 bytes of it free
        (fakepi.sys / "class/thermal/thermal_zone0/temp").write_text("85000")     # what its system tells
        fakepi.cut()                                     # the connections break, what runs there goes on
        fakepi.freeze(); fakepi.thaw()                   # they say nothing any more, and go on
        fakepi.reboot()                                  # all that runs there is gone at once; the disk stays
        fakepi.processes("python3")                      # what runs there, as host pids

It is a chroot of the userland in mount, process and user namespaces of its own, where binfmt_misc starts arm64 programs
in QEMU: it needs root, Linux 6.7, qemu-aarch64-static and `edgekit device setup emulated`. Nothing of this machine's
changes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from edgekit.measurement.emulated.boards import BOARDS, Board, write_processor
from edgekit.measurement.emulated.userland import read_userland

SSHD = shutil.which("sshd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
QEMU = shutil.which("qemu-aarch64-static")
ROOT = "/mnt/pi"  # in its own mount namespace
DISK_MEGABYTES = 512
# The head of an arm64 ELF file and which of its bits count, as binfmt_misc takes them. Source: elf.h.
MAGIC = r"\x7fELF\x02\x01\x01\x00" + r"\x00" * 8 + r"\x02\x00\xb7\x00"
MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"

START = r"""set -e
read -r _
umask 022
mount -t proc none /proc
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf '%s' "$BINFMT" > /proc/sys/fs/binfmt_misc/register
hostname raspberrypi
mount -t tmpfs -o mode=755 none /run
mkdir /run/sshd /run/pi
cp "$SETTINGS"/* /run/pi
chmod 644 /run/pi/*
chmod 600 /run/pi/host_key
for name in passwd group shadow; do mount --bind /run/pi/$name /etc/$name; done
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/pi
cd /mnt/pi
mkdir bin sbin lib usr etc proc sys dev tmp run home home/pi
for name in bin sbin lib usr; do
  [ ! -d "$ROOTFS/$name" ] || { mount --bind "$ROOTFS/$name" $name; mount -o remount,bind,ro $name; }
done
cp /run/pi/passwd /run/pi/group etc
mount -t proc none proc
mount --bind "$SYSTEM/proc/cpuinfo" proc/cpuinfo
mount --bind "$SYSTEM/sys" sys
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755,uid=1000,gid=1000,size=${MEGABYTES}m none home/pi
exec "$SSHD" -D -e -f /run/pi/sshd_config
"""


def missing() -> str:
    """Why there can be none on this machine, "" where there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "needs root"
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.uname().sysname != "Linux" or not release or tuple(map(int, release.groups())) < (6, 7):
        return f"needs Linux 6.7 for a binfmt_misc of its own, and this is {os.uname().release}"
    for name, found in (("sshd", SSHD), ("qemu-aarch64-static", QEMU), ("unshare", shutil.which("unshare"))):
        if found is None:
            return f"needs {name}"
    return "" if read_userland() else "needs edgekit device setup emulated"


@dataclass
class FakePi:
    """`pid` is that of its sshd, on this machine."""

    board: Board
    port: int
    key: Path
    host_key: asyncssh.SSHKey
    sys: Path
    pid: int
    host = "127.0.0.1"
    user = "pi"

    @property
    def known_hosts_line(self) -> str:
        return f"[{self.host}]:{self.port} {self.host_key.export_public_key().decode()}"

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint()

    @property
    def home(self) -> Path:
        """Its /home/pi, which is all of its disk that can be written."""
        return Path(f"/proc/{self.pid}/root{ROOT}/home/pi")

    def run(self, command: str, timeout: float = 60.0) -> str:
        """What a command says there, by the machine's own ssh client. Raises CalledProcessError."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        words = [word for option in options for word in ("-o", option)]
        where = ["-F", "none", "-i", str(self.key), "-p", str(self.port), f"{self.user}@{self.host}"]
        done = subprocess.run(
            ["ssh", *words, *where, command], capture_output=True, text=True, timeout=timeout, check=True
        )
        return done.stdout

    def processes(self, name: str = "") -> list[int]:
        """All that runs there but the server itself, on this machine's count; those of a name in their command line."""
        here = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "ns" / "pid").readlink() == here:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    if int(entry.name) != self.pid and words and name in words:
                        found.append(int(entry.name))
        return found

    def sessions(self) -> list[int]:
        """The processes of sshd that hold a connection."""
        return [pid for pid in self.processes("sshd: ") if "sshd" in Path(f"/proc/{pid}/comm").read_text()]

    def cut(self) -> None:
        self._signal(self.sessions(), signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(self.sessions(), signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(self.sessions(), signal.SIGCONT)

    def reboot(self) -> None:
        """Comes back when nothing runs there any more."""
        end = time.monotonic() + 20
        while left := self.processes():
            self._signal(left, signal.SIGKILL)
            assert time.monotonic() < end, f"{left} do not end"
            time.sleep(0.02)

    def fill(self, free: int) -> None:
        """Leaves so many bytes of its disk free, to the page."""
        (self.home / "filler").unlink(missing_ok=True)
        found = os.statvfs(self.home)
        with (self.home / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - free))

    def clean(self) -> None:
        """Nothing runs there, its disk is empty, and its system tells that it is well."""
        self.reboot()
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        write_system(self.board, self.sys.parent)

    @staticmethod
    def _signal(pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def running(folder: Path, board: str = "rpi4") -> Iterator[FakePi]:
    """One at work, its settings in `folder`."""
    userland = read_userland()
    assert userland is not None
    chosen = BOARDS[board]
    settings, system = folder / "settings", folder / "system"
    settings.mkdir(parents=True)
    write_system(chosen, system)
    host_key, port = _write_settings(settings, folder / "id_ed25519", chosen)
    given = {
        "BINFMT": f":qemu-aarch64:M::{MAGIC}:{MASK}:{QEMU}:F", "SETTINGS": settings, "ROOTFS": userland.rootfs,
        "SYSTEM": system, "MEGABYTES": DISK_MEGABYTES, "SSHD": SSHD, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    }  # fmt: skip
    apart = ["unshare", "--user", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    with (folder / "log").open("w") as log:
        started = subprocess.Popen(
            [*apart, "bash", "-c", START], stdin=subprocess.PIPE, stdout=log, stderr=log,
            env={name: str(value) for name, value in given.items()},
        )  # fmt: skip
    try:
        _map_users(started)
        pid = _wait_for(started, port, folder / "log")
        yield FakePi(chosen, port, folder / "id_ed25519", host_key, system / "sys", pid)
    finally:
        started.kill()  # and with it all that runs there
        started.wait()


def write_system(board: Board, root: Path) -> None:
    """What Linux on the board tells of it, where all is well."""
    write_processor(board, root)
    cpus, firmware = "sys/devices/system/cpu", "sys/devices/platform/soc/soc:firmware"
    told = {
        "sys/firmware/devicetree/base/model": board.title, f"{firmware}/get_throttled": "0",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "48200",
    }  # fmt: skip
    for core in range(4):
        told[f"{cpus}/cpu{core}/cpufreq/scaling_governor"] = "ondemand"
        told[f"{cpus}/cpu{core}/cpufreq/scaling_cur_freq"] = str(1000 * board.megahertz)
    for path, text in told.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")


def _write_settings(settings: Path, key: Path, board: Board) -> tuple[asyncssh.SSHKey, int]:
    host_key, users = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    host_key.write_private_key(settings / "host_key")
    users.write_private_key(key)
    key.chmod(0o600)
    users.write_public_key(settings / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = (
        f"Port {port}", "ListenAddress 127.0.0.1", "HostKey /run/pi/host_key", "PidFile none", "StrictModes no",
        "AuthorizedKeysFile /run/pi/authorized_keys", "UsePAM no", "PasswordAuthentication no",
        "KbdInteractiveAuthentication no", "AllowUsers pi", "AllowTcpForwarding yes", "MaxStartups 100",
        "MaxSessions 100", f"ChrootDirectory {ROOT}", "Subsystem sftp /usr/lib/openssh/sftp-server",
        f"SetEnv QEMU_CPU={board.core}",
    )  # fmt: skip
    (settings / "sshd_config").write_text("\n".join(lines) + "\n")
    privileged = "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin"
    (settings / "passwd").write_text(f"root:x:0:0::/root:/bin/bash\n{privileged}\npi:x:1000:1000::/home/pi:/bin/bash\n")
    (settings / "group").write_text("root:x:0:\nnogroup:x:65534:\npi:x:1000:\n")
    (settings / "shadow").write_text("root:*:19000::::::\nsshd:*:19000::::::\npi:*:19000::::::\n")
    return host_key, port


def _map_users(started: subprocess.Popen) -> None:
    """Every user is who they are outside: only from there it can be said."""
    end = time.monotonic() + 10
    while Path(f"/proc/{started.pid}/ns/user").readlink() == Path("/proc/self/ns/user").readlink():
        assert time.monotonic() < end, "unshare does not begin"
        time.sleep(0.01)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{started.pid}/{name}").write_text("0 0 4294967295")
    assert started.stdin is not None
    started.stdin.write(b"go\n")
    started.stdin.close()


def _wait_for(started: subprocess.Popen, port: int, log: Path) -> int:
    """sshd's pid, when it listens."""
    end = time.monotonic() + 20
    while True:
        assert started.poll() is None and time.monotonic() < end, log.read_text()
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return int(Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()[0])
        time.sleep(0.05)
