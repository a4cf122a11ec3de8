import asyncssh
import pytest

from edgekit.errors import BadInput, DeviceError
from edgekit.measurement.devices.answer import ask
from edgekit.measurement.devices.connection import COMMAND, Connection
from edgekit.measurement.devices.inventory import Device
from edgekit.measurement.devices.trust import UnknownHostKey, known_hosts_file
from tests.measurement.devices.server import Server, serving


def greeting(connection):
    with connection.start(1000) as channel:
        channel.program("import sys; print(sys.argv[1:], sys.stdin.buffer.readline(), flush=True)", "a'b\"c $(x) é\n")
        channel.send(b"and more\n")
        return channel.line(30).decode()


def test_an_unknown_host_key_is_refused_and_an_accepted_one_is_kept(server, device):
    with pytest.raises(UnknownHostKey) as refused, Connection(device):
        pass
    assert refused.value.exit_code == 4 and refused.value.fingerprint == server.fingerprint
    assert (
        server.fingerprint in refused.value.fact and f"--accept-host-key {server.fingerprint}" in refused.value.remedy
    )
    assert not known_hosts_file().exists() and server.asked == []
    with Connection(device, server.fingerprint) as connection:
        assert greeting(connection) == """['a\\'b"c $(x) é\\n'] b'and more\\n'\n"""
    assert known_hosts_file().read_text().startswith(f"[127.0.0.1]:{server.port} ssh-ed25519 ")
    with Connection(device) as connection:
        assert greeting(connection)
    assert set(server.asked) == {COMMAND}


def test_another_fingerprint_than_the_accepted_one(server, device):
    with pytest.raises(DeviceError, match="not the accepted SHA256:other"), Connection(device, "SHA256:other"):
        pass
    assert not known_hosts_file().exists()


@pytest.mark.parametrize("where", ["own", "user"])
@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
def test_a_wrong_host_key_is_refused_even_if_accepted(server, device, user, where, kind):
    other = asyncssh.generate_private_key(kind).export_public_key().decode()
    file = known_hosts_file() if where == "own" else user / ".ssh" / "known_hosts"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"[127.0.0.1]:{server.port} {other}")
    for accept in (None, server.fingerprint):
        with pytest.raises(DeviceError, match="is not the known one") as refused, Connection(device, accept):
            pass
        assert not isinstance(refused.value, UnknownHostKey)
    assert server.asked == [] and file.read_text().count("\n") == 1


def test_the_users_known_hosts_are_believed(server, device, user):
    key = server.key.export_public_key().decode()
    (user / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {key}")
    with Connection(device) as connection:
        assert greeting(connection)
    assert not known_hosts_file().exists()


def test_known_hosts_none_in_ssh_config_does_not_believe_everything(server, device, user):
    (user / ".ssh" / "config").write_text("Host *\n  UserKnownHostsFile none\n  StrictHostKeyChecking no\n")
    with pytest.raises(UnknownHostKey), Connection(device):
        pass


def test_ssh_config_names_host_user_port_and_key(server, user):
    for suffix in ("", ".pub"):
        (user / ".ssh" / f"id_ed25519{suffix}").rename(user / ".ssh" / f"mine{suffix}")
    (user / ".ssh" / "config").write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {server.port}\n  User pi\n  IdentityFile ~/.ssh/mine\n"
    )
    with Connection(Device(name="pi", host="board"), server.fingerprint) as connection:
        assert greeting(connection)


def test_through_a_jump_host(server, device, user, tmp_path):
    jump = Server(tmp_path, {})
    with serving(jump, (user / ".ssh" / "id_ed25519.pub").read_bytes()):
        (user / ".ssh" / "config").write_text(
            f"Host jump\n  HostName 127.0.0.1\n  Port {jump.port}\nHost board\n  HostName 127.0.0.1\n"
            f"  Port {server.port}\n  ProxyJump jump\n"
        )
        board = Device(name="pi", host="board")
        with pytest.raises(DeviceError, match="on the way to pi") as refused, Connection(board, server.fingerprint):
            pass
        assert "jump host" in refused.value.remedy and server.connections == []
        key = jump.key.export_public_key().decode()
        (user / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{jump.port} {key}")
        with Connection(board, server.fingerprint) as connection:
            assert greeting(connection)
    assert len(jump.connections) == 2 and jump.asked == []


def test_a_refused_login(server, device, user):
    (user / ".ssh" / "id_ed25519.pub").unlink()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(user / ".ssh" / "id_ed25519")
    with pytest.raises(DeviceError, match="refused the login") as refused, Connection(device, server.fingerprint):
        pass
    assert "ssh-copy-id pi@127.0.0.1" in refused.value.remedy


def test_an_unreachable_host(user):
    with pytest.raises(DeviceError, match=r"pi \(127.0.0.1:1\) cannot be reached"):
        Connection(Device(name="pi", host="127.0.0.1", port=1)).__enter__()
    with pytest.raises(DeviceError, match=r"cannot be reached"):
        Connection(Device(name="pi", host="no-such-host.invalid")).__enter__()


def test_a_damaged_known_hosts_file(server, device, user):
    (user / ".ssh" / "known_hosts").write_text("nonsense\n")
    with pytest.raises(BadInput, match="known_hosts is no known_hosts file: Invalid known hosts entry: nonsense"):
        Connection(device).__enter__()


def test_a_damaged_ssh_config(server, device, user):
    (user / ".ssh" / "config").write_text("Port many\n")
    with pytest.raises(DeviceError, match="line 1"):
        Connection(device).__enter__()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("exec nothing-of-this-name", "pi has no python3"),
        ("yes", "says more than an answer can be"),
        ("head -c 9999999 /dev/zero", "says more than an answer can be"),
        ("yes >&2 & sleep 0.2; kill $!; exit 1", "gave no answer: y"),
        ("yes | head -n 5000", "says more than an answer can be"),
        ("echo hello; exit 3", "gave no answer: python3 ended with code 3"),
        (r"printf '\033[2Joh \007no\n' >&2; exit 1", r"gave no answer: \[2Joh no\."),
        ("kill -9 $$", "ended by signal KILL"),
        ("""echo '{"edgekit": 1, "ok": NaN}'""", "gave no answer"),
        ("head -c 40000 /dev/zero | tr '\\0' '['; echo", "gave no answer"),
    ],
)
def test_a_device_that_is_hostile_or_broken(server, device, command, words):
    server.command = command
    with Connection(device, server.fingerprint) as connection, pytest.raises(DeviceError, match=words):
        ask(connection, "facts")


def test_a_device_that_hangs(server, device):
    server.command = "sleep 60"
    with Connection(device, server.fingerprint) as connection, pytest.raises(DeviceError, match="within 1 seconds"):
        ask(connection, "facts", seconds=1)


def test_noise_gains_no_time(server, device):
    server.command = "while sleep 0.3; do echo noise; done"
    with (
        Connection(device, server.fingerprint) as connection,
        pytest.raises(DeviceError, match="no answer within 1 seconds"),
    ):
        ask(connection, "facts", seconds=1)


def test_a_connection_that_is_cut(server, device):
    server.command = "sleep 60"
    with Connection(device, server.fingerprint) as connection, connection.start(10) as channel:
        server.cut()
        with pytest.raises(DeviceError, match="lost|ended"):
            if not channel.line(20):
                raise channel.ending()
