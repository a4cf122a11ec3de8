"""A real ssh server on 127.0.0.1, in a thread of this process: it runs commands here, as a device would."""

import asyncio
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


@dataclass
class Server:
    """`command` replaces what is asked for; `environment` is all that its processes see."""

    home: Path
    environment: dict[str, str]
    command: str | None = None
    port: int = 0
    key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    asked: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    acceptor: asyncssh.SSHAcceptor | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def fingerprint(self) -> str:
        return self.key.get_fingerprint()

    def cut(self) -> None:
        """Every connection is gone."""
        for connection in self.connections:
            self.loop.call_soon_threadsafe(connection.abort)

    async def handle(self, process: asyncssh.SSHServerProcess) -> None:
        self.asked.append(process.command)
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", self.command or process.command, cwd=self.home, env=self.environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

        async def copy(source, to, end) -> None:
            with suppress(Exception):
                while chunk := await source.read(65536):
                    to.write(chunk)
                    await to.drain()
            with suppress(Exception):
                end()

        feed = asyncio.create_task(copy(process.stdin, child.stdin, child.stdin.close))
        copies = [copy(child.stdout, process.stdout, lambda: None), copy(child.stderr, process.stderr, lambda: None)]
        await asyncio.gather(*copies)
        code = await child.wait()
        feed.cancel()
        if code < 0:
            process.exit_with_signal({9: "KILL", 11: "SEGV"}.get(-code, "TERM"))
        else:
            process.exit(code)

    async def listen(self, allowed: bytes) -> None:
        outer = self

        class Login(asyncssh.SSHServer):
            def connection_made(self, conn) -> None:
                outer.connections.append(conn)

            def connection_requested(self, *where) -> bool:
                return True  # as a jump host

        self.acceptor = await asyncssh.listen(
            "127.0.0.1", self.port, server_factory=Login, server_host_keys=[self.key], process_factory=self.handle,
            authorized_client_keys=asyncssh.import_authorized_keys(allowed.decode()), encoding=None,
        )  # fmt: skip
        self.port = self.acceptor.get_port()


@contextmanager
def serving(server: Server, allowed: bytes):
    """The server at work; `allowed` is the public key that may log in."""
    server.loop = asyncio.new_event_loop()
    thread = threading.Thread(target=server.loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.listen(allowed), server.loop).result(30)

    async def close() -> None:
        server.acceptor.close()
        for connection in server.connections:
            connection.abort()
        await asyncio.sleep(0.05)

    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(close(), server.loop).result(30)
        server.loop.call_soon_threadsafe(server.loop.stop)
        thread.join(30)
