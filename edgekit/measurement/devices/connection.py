"""An ssh connection to a device: ssh_config, agent and jump hosts as ssh itself, host keys strictly.

asyncssh runs in a thread of the connection's own, so that its user may be plain code and several devices may be at work
at the same time. The remote command is always the same fixed text; whatever varies goes through stdin. What comes back
is limited in bytes and in time: the device is not trusted.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edgekit.errors import DeviceError, EdgekitError, MissingExtra
from edgekit.measurement.devices.inventory import Device
from edgekit.measurement.devices.trust import Judge, changed, read_known

try:
    import asyncssh
except ImportError:
    raise MissingExtra("A device that is reached by ssh", "devices") from None

CONNECT_SECONDS, LOGIN_SECONDS = 15.0, 30.0
ALIVE_SECONDS, ALIVE_COUNT = 10, 3  # a device that says nothing for so long, so often, is gone
COMMAND = 'python3 -c "import sys; exec(sys.stdin.buffer.readline())"'  # the same in every shell
CHUNK = 65536
LINES = 1000  # that a program may say; a runtime's own are a few
STDERR_BYTES = 4096  # that are kept; the rest is read and dropped
SHELLS_NOT_FOUND = (126, 127)
# asyncssh offers only the kinds of the keys that are known. Offered behind them, any other kind is shown before it is
# refused, where a server with no kind in common would just hang up.
HOST_KEY_KINDS = "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
ADDED_SECONDS = 5.0  # that the thread may take to answer beyond the limit of what it does

T = TypeVar("T")


def plain(text: str | bytes, limit: int = 200) -> str:
    """Words of a device's, fit to be shown: its last line, printable, not long."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    return "".join(c for c in line.strip() if c.isprintable())[:limit]


class Connection:
    """A device, connected while the `with` lasts. `accept`: the fingerprint of a new host key to be believed."""

    def __init__(self, device: Device, accept: str | None = None) -> None:
        self.device, self._accept = device, accept
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=f"ssh {device.name}")
        self._ssh: asyncssh.SSHClientConnection | None = None

    def __enter__(self) -> Connection:
        """Raises DeviceError: unreachable, refused, or of an unknown (UnknownHostKey) or wrong host key."""
        self._thread.start()
        try:
            self._ssh = self.call(self._connect(), CONNECT_SECONDS + LOGIN_SECONDS + ADDED_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._ssh is not None:
                self._ssh.close()
                with suppress(DeviceError):
                    self.call(self._ssh.wait_closed(), ADDED_SECONDS)
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T], seconds: float, of: float | None = None) -> T:
        """Waits for work in the connection's thread. Raises DeviceError when the time is up (`of`: the whole of which
        these seconds are the rest) or the connection is."""
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._loop)
        try:
            return future.result(seconds + ADDED_SECONDS)
        except TimeoutError:
            future.cancel()
            raise DeviceError(
                f"{self.device.name} ({self.device.address}) gave no answer within {of or seconds:.0f} seconds.",
                "Look whether it hangs, then run the same command again.",
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise DeviceError(
                f"The connection to {self.device.name} ({self.device.address}) was lost: {plain(str(error))}.",
                "Check the device and the network, then run the same command again.",
            ) from None

    def start(self, limit: int, lines: int = LINES) -> Channel:
        """A python3 on the device that waits for its program; it may say `limit` bytes, in `lines` lines."""
        assert self._ssh is not None
        return Channel(self, self.call(self._start(self._ssh), CONNECT_SECONDS), limit, lines)

    @staticmethod
    async def _start(ssh: asyncssh.SSHClientConnection) -> asyncssh.SSHClientProcess[bytes]:
        return await ssh.create_process(COMMAND, encoding=None, request_pty=False)

    async def _connect(self) -> asyncssh.SSHClientConnection:
        device = self.device
        judge: Judge | None = None
        try:
            given: dict[str, Any] = {"host": device.host}
            given |= {"port": device.port} if device.port else {}
            given |= {"username": device.user} if device.user else {}
            options = asyncssh.SSHClientConnectionOptions(**given)
            judge = Judge(read_known(_users_files(options)), self._accept)
            # The user's own choice of kinds stands.
            kinds = () if options.config.get("HostKeyAlgorithms") else HOST_KEY_KINDS
            return await asyncssh.connect(
                device.host, options=options, known_hosts=judge.look_up, client_factory=_client(judge),
                server_host_key_algs=kinds, x509_trusted_certs=None,
                connect_timeout=CONNECT_SECONDS, login_timeout=LOGIN_SECONDS,
                keepalive_interval=ALIVE_SECONDS, keepalive_count_max=ALIVE_COUNT,
            )  # fmt: skip
        except EdgekitError:
            raise
        except (asyncssh.Error, asyncssh.KeyImportError, OSError, ValueError) as error:
            raise _sentence(error, device, judge) from None


def _users_files(options: asyncssh.SSHClientConnectionOptions) -> list[str | Path]:
    """The known_hosts files of ssh_config, else ssh's own. ssh_config's `none` is no leave to believe every key."""
    files = options.known_hosts
    named = [str(one) for one in files] if isinstance(files, list) else []
    return [*named] if named or files is None else [Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts")]


def _client(judge: Judge) -> Any:
    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            return judge.believes(host, port, key)

    return Client


def _sentence(error: BaseException, device: Device, judge: Judge | None) -> DeviceError:
    """What went wrong while connecting."""
    where, said = f"{device.name} ({device.address})", plain(str(error)) or type(error).__name__
    if judge is not None and judge.refused is not None:
        return judge.refused
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return DeviceError(
            f"A host on the way to {where} cannot be believed: {said}.", "Connect to the jump host with ssh once."
        )
    if isinstance(error, asyncssh.KeyExchangeFailed) and judge is not None and judge.has_key:
        return changed(device.host, said)
    if isinstance(error, asyncssh.PermissionDenied):
        return DeviceError(f"{where} refused the login: {said}.", f"Copy your key there: ssh-copy-id {device.address}")
    if isinstance(error, OSError):
        return DeviceError(f"{where} cannot be reached: {said}.", "Check its name, power and network.")
    if isinstance(error, asyncssh.Error):
        return DeviceError(f"{where} ended the connection: {said}.", "Check that an ssh server answers there.")
    return DeviceError(f"ssh_config cannot be used for {where}: {said}.", "Correct ~/.ssh/config or the key.")


class Channel:
    """A python3 on the device. `send` it a program first; what it prints comes back line by line."""

    def __init__(
        self, connection: Connection, process: asyncssh.SSHClientProcess[bytes], limit: int, lines: int
    ) -> None:
        self._connection, self._process, self._left, self._lines_left = connection, process, limit, lines
        self._buffer = bytearray()
        self._ended = False
        self._said = bytearray()
        self._drain = asyncio.run_coroutine_threadsafe(self._read_errors(), connection._loop)

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DeviceError):
            self._connection.call(self._close(), ADDED_SECONDS)

    async def _close(self) -> None:
        if self._process.exit_status is None:
            with suppress(OSError):
                self._process.kill()
        self._process.close()
        await self._process.wait_closed()

    async def _read_errors(self) -> None:
        with suppress(asyncssh.Error, OSError):
            while chunk := await self._process.stderr.read(CHUNK):
                self._said = (self._said + chunk)[-STDERR_BYTES:]

    def program(self, source: str, *words: str) -> None:
        """Sends a program, which finds the words in sys.argv[1:]. It is one line of ASCII: nothing interprets it."""
        line = f"sys.path[:1] = []; sys.argv[1:] = {list(words)!a}; exec(compile({source!a}, 'edgekit', 'exec'))\n"
        self.send(line.encode("ascii"))

    def send(self, content: bytes, seconds: float = 60.0) -> None:
        """Raises DeviceError when it does not take it. One that has ended takes anything: what it said tells why."""
        self._connection.call(self._write(content), seconds)

    async def _write(self, content: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            for start in range(0, len(content), CHUNK):
                self._process.stdin.write(content[start : start + CHUNK])
                await self._process.stdin.drain()

    def finish(self) -> None:
        """Nothing more will be sent."""

        async def end() -> None:
            with suppress(BrokenPipeError, OSError):
                self._process.stdin.write_eof()

        self._connection.call(end(), ADDED_SECONDS)

    def line(self, seconds: float, of: float | None = None) -> bytes:
        """The next line, b"" at the end. Raises DeviceError when it is silent for so long, or says too much."""
        return self._connection.call(self._line(), seconds, of)

    async def _line(self) -> bytes:
        end = self._buffer.find(b"\n") + 1
        while not end and not self._ended:
            chunk = await self._process.stdout.read(CHUNK)
            self._ended = not chunk
            self._left -= len(chunk)
            self._refuse_if(self._left < 0)
            if found := chunk.find(b"\n") + 1:
                end = len(self._buffer) + found
            self._buffer += chunk
        self._lines_left -= 1
        self._refuse_if(self._lines_left < 0)
        line = bytes(self._buffer[: end or None])
        del self._buffer[: len(line)]
        return line

    def _refuse_if(self, too_much: bool) -> None:
        if too_much:
            self._process.close()
            name = self._connection.device.name
            raise DeviceError(f"{name} says more than an answer can be.", "Look what python3 is on that device.")

    def ending(self) -> DeviceError:
        """Why it ended without an answer."""
        name = self._connection.device.name
        self._connection.call(self._process.wait_closed(), ADDED_SECONDS)
        with suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            self._drain.result(ADDED_SECONDS)
        code, signal = self._process.exit_status, self._process.exit_signal
        if code in SHELLS_NOT_FOUND:
            return DeviceError(f"{name} has no python3.", "Install it there: sudo apt install python3")
        if signal or code is None or code == -1:
            word = f"it was ended by signal {plain(signal[0])}" if signal else "the connection ended"
            return DeviceError(f"{name} gave no answer: {word}.", "Look whether it has enough memory and power.")
        said = plain(bytes(self._said)) or f"python3 ended with code {code}"
        return DeviceError(f"{name} gave no answer: {said}.", "Log in there with ssh and run python3.")
