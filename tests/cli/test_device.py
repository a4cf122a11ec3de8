"""edgekit device, against an ssh server of this process's own."""

import os
import subprocess
import sys

import asyncssh
import pytest

from edgekit.cli import main
from tests.cli.test_evaluate import as_json, run
from tests.measurement.devices.conftest import device, server, user  # noqa: F401 - fixtures


def test_add_check_list_remove(capfd, server):  # noqa: F811
    address = f"pi@127.0.0.1:{server.port}"
    code, found = as_json(capfd, "device", "add", "pi", address)
    assert code == 4 and found["error"]["code"] == "unknown-host-key"
    assert server.fingerprint in found["error"]["message"]
    assert f"--accept-host-key {server.fingerprint}" in found["error"]["remedy"]
    assert as_json(capfd, "device", "list")[1]["result"]["devices"] == []

    code, found = as_json(capfd, "device", "add", "pi", address, "--accept-host-key", server.fingerprint)
    assert code == 0 and found["result"]["pointer_bits"] in (32, 64) and found["result"]["name"] == "pi"
    code, out, _ = run(capfd, "device", "check", "pi")
    assert code == 0 and out.startswith(f"pi ({address}): ") and "Python 3." in out and "numpy" in out
    code, out, _ = run(capfd, "device", "list")
    assert code == 0 and [line.split()[:2] for line in out.splitlines()] == [
        ["pi", address],
        ["rpi4:emulated", "cortex-a72"],
        ["rpi5:emulated", "cortex-a76"],
    ]
    assert run(capfd, "device", "add", "pi", address)[0] == 2
    assert run(capfd, "device", "remove", "pi")[:2] == (0, f"pi ({address}) is removed.\n")
    assert run(capfd, "device", "remove", "pi")[0] == 2


def test_a_changed_host_key(capfd, server):  # noqa: F811
    words = ("device", "add", "pi", f"127.0.0.1:{server.port}", "--accept-host-key")
    other = asyncssh.generate_private_key("ssh-ed25519")
    code, found = as_json(capfd, *words, other.get_fingerprint())
    assert code == 4 and "not the accepted" in found["error"]["message"]
    assert run(capfd, *words, server.fingerprint)[0] == 0
    server.acceptor.update(server_host_keys=[other])
    code, found = as_json(capfd, "device", "check", "pi")
    assert code == 4 and "is not the known one" in found["error"]["message"]


@pytest.mark.parametrize(("said", "code", "known"), [("y\n", 0, ["pi"]), ("n\n", 130, [])])
def test_a_terminal_is_asked(capfd, server, monkeypatch, said, code, known):  # noqa: F811
    import pty

    host, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin:
        os.write(host, said.encode())
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert main(["device", "add", "pi", f"127.0.0.1:{server.port}"]) == code
    os.close(host)
    assert server.fingerprint in capfd.readouterr().err
    assert [one["name"] for one in as_json(capfd, "device", "list")[1]["result"]["devices"]] == known


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["check", "pi"], 2, "Unknown device 'pi'"),
        (["add", "pi", "pi@$(touch x)"], 2, "is no address of a device"),
        (["add", "cpu", "pi@board"], 2, "'cpu' means this machine"),
        (["add", "pi", "pi@127.0.0.1:1"], 4, "cannot be reached"),
    ],
)
def test_bad_input(capfd, user, argv, code, words):  # noqa: F811
    found_code, found = as_json(capfd, "device", *argv)
    assert found_code == code and words in found["error"]["message"]


def test_a_badly_edited_list(capfd, user):  # noqa: F811
    (user / "config").mkdir()
    (user / "config" / "devices.toml").write_text('[pi]\nhost = "a b"\n')
    code, found = as_json(capfd, "device", "list")
    assert code == 3 and 'devices.toml:2: pi.host cannot be "a b"' in found["error"]["message"]


def test_without_asyncssh(user):  # noqa: F811
    code = (
        "import sys; sys.modules['asyncssh'] = None\n"
        "from edgekit.cli import main\n"
        "assert main(['device', 'list']) == 0\n"
        "sys.exit(main(['device', 'add', 'pi', 'pi@board']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2 and "pip install 'edgekit[devices]'" in ended.stderr
