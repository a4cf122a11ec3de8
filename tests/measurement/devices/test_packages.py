import hashlib
import os
import stat
import threading
import time
import zipfile
from pathlib import Path

import pytest

from edgekit.errors import DeviceError
from edgekit.measurement.devices.connection import Connection
from edgekit.measurement.devices.packages import Packages, remove_packages
from edgekit.measurement.devices.wheels import Wheel
from tests.measurement.devices.bare import kept, record_of, tiny_wheel, wheel_at

ROOM = 10**9


def as_wheel(path: Path, unpacked: int = 10**6) -> Wheel:
    name, version, *_ = path.name.split("-")
    content = path.read_bytes()
    return Wheel(name, version, hashlib.sha256(content).hexdigest(), path, len(content), unpacked)


@pytest.fixture
def connection(server, device):
    with Connection(device, server.fingerprint) as found:
        yield found


def test_a_wheel_is_sent_once_and_kept(server, connection, tmp_path):
    wheel, seen = as_wheel(tiny_wheel(tmp_path)), []
    for _ in range(2):
        with Packages(connection, [wheel], ROOM, seen.append) as packages:
            (path,) = map(Path, packages.paths)
            assert (path / "tiny" / "__init__.py").read_bytes() == b"ANSWER = 42\n"
    assert path.parent == server.home / ".cache" / "edgekit" / "packages" and path.stat().st_mode & 0o077 == 0
    assert [one.stage for one in seen] == ["send", "send"] and kept(server) == [wheel.folder]


def test_what_was_damaged_there_is_sent_again(server, connection, tmp_path):
    wheel = as_wheel(tiny_wheel(tmp_path))
    with Packages(connection, [wheel], ROOM) as packages:
        damaged = Path(packages.paths[0]) / "tiny" / "__init__.py"
    for damage in (lambda: damaged.write_bytes(b"ANSWER = 43\n"), damaged.unlink):
        damage()
        with Packages(connection, [wheel], ROOM):
            assert damaged.read_bytes() == b"ANSWER = 42\n"


def test_an_older_version_goes_when_nobody_holds_it(server, connection, tmp_path):
    old, new = (as_wheel(tiny_wheel(tmp_path, version=version)) for version in ("1.0", "2.0"))
    with Packages(connection, [old], ROOM):
        with Packages(connection, [new], ROOM):
            assert kept(server) == [old.folder, new.folder]
        assert remove_packages(connection).held == ("tiny 1.0",) and kept(server) == [old.folder]
    with Packages(connection, [new], ROOM):
        assert kept(server) == [new.folder]
    assert remove_packages(connection).removed == ("tiny 2.0",) and kept(server) == []


def linked(path: Path) -> Path:
    """With a symbolic link that leads out."""
    wheel_at(path, {"tiny.py": b"x"}, "tiny-1.0.dist-info")
    entry = zipfile.ZipInfo("passwd")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr(entry, "/etc/passwd")
    return path


def unrecorded(path: Path) -> Path:
    wheel_at(path, {"tiny.py": b"x"}, "tiny-1.0.dist-info")
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr("more.py", "x")
    return path


def forged(path: Path, told: dict[str, bytes], held: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in held.items():
            wheel.writestr(name, content)
        wheel.writestr("tiny-1.0.dist-info/RECORD", record_of(told))
    return path


HOSTILE = {
    "up": (lambda p: wheel_at(p, {"../../out": b"x"}, "tiny-1.0.dist-info"), "it names '../../out'"),
    "inside": (lambda p: wheel_at(p, {"tiny/../../../out": b"x"}, "tiny-1.0.dist-info"), "it names"),
    "absolute": (lambda p: wheel_at(p, {"/tmp/edgekit-out": b"x"}, "tiny-1.0.dist-info"), "it names"),
    "backslash": (lambda p: wheel_at(p, {"..\\out": b"x"}, "tiny-1.0.dist-info"), "it names"),
    "link": (linked, "it names 'passwd'"),
    "unrecorded": (unrecorded, "its RECORD does not know more.py"),
    "other": (lambda p: forged(p, {"tiny.py": b"x"}, {"tiny.py": b"y"}), "is not what its RECORD says"),
    "longer": (lambda p: forged(p, {"tiny.py": b"x"}, {"tiny.py": b"xx"}), "is not what its RECORD says"),
    "lacking": (lambda p: forged(p, {"tiny.py": b"x", "b.py": b"y"}, {"tiny.py": b"x"}), "it lacks b.py"),
    "bomb": (lambda p: wheel_at(p, {"tiny.py": bytes(2_000_000)}, "tiny-1.0.dist-info"), "larger than it said"),
    "no record": (lambda p: (zipfile.ZipFile(p, "w").close(), p)[1], "it is no wheel"),
    "no zip": (lambda p: (p.write_bytes(b"PK nonsense"), p)[1], "is none"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_wheel_that_means_harm_is_refused_and_leaves_nothing(server, connection, tmp_path, case):
    make, words = HOSTILE[case]
    wheel = as_wheel(make(tmp_path / "tiny-1.0-py3-none-any.whl"))
    with pytest.raises(DeviceError, match=words) as refused:
        Packages(connection, [wheel], ROOM).__enter__()
    assert refused.value.fact.startswith("pi cannot take the runtime: the wheel of tiny is none")
    assert kept(server) == [] and not (server.home / ".cache" / "out").exists()
    assert not Path("/tmp/edgekit-out").exists() and not (server.home / "out").exists()


def test_a_file_that_is_not_the_announced_one(server, connection, tmp_path):
    wheel = as_wheel(tiny_wheel(tmp_path))
    wheel.path.write_bytes(wheel.path.read_bytes()[::-1])
    with pytest.raises(DeviceError, match="did not arrive as it was sent"):
        Packages(connection, [wheel], ROOM).__enter__()
    assert kept(server) == []


def test_a_card_with_too_little_room_is_told_before_anything_is_sent(server, connection, tmp_path):
    wheel, seen = as_wheel(tiny_wheel(tmp_path), unpacked=90_000_000), []
    with pytest.raises(DeviceError, match="pi has 50 MB free, and tiny need 107 MB"):
        Packages(connection, [wheel], 50_000_000, seen.append).__enter__()
    assert seen == [] and kept(server) == []


@pytest.mark.skipif(os.name != "posix", reason="a limit of the shell")
def test_a_card_that_fills_up_meanwhile_leaves_nothing(server, connection, tmp_path):
    wheel = as_wheel(tiny_wheel(tmp_path, more={"tiny/data": os.urandom(1_000_000)}), unpacked=2_000_000)
    server.command = 'ulimit -f 200; python3 -c "import sys; exec(sys.stdin.buffer.readline())"'
    with pytest.raises(DeviceError, match="pi cannot take the runtime: File too large"):
        Packages(connection, [wheel], ROOM).__enter__()
    assert kept(server) == []


def test_a_connection_that_is_cut_while_it_is_sent_leaves_nothing(server, device, tmp_path):
    wheel = as_wheel(tiny_wheel(tmp_path, more={"tiny/data": os.urandom(8_000_000)}), unpacked=9_000_000)
    cut = threading.Timer(0.0, server.cut)
    with (
        pytest.raises(DeviceError, match="was lost|the connection ended"),
        Connection(device, server.fingerprint) as connection,
    ):

        def progress(seen):
            if seen.done and cut.ident is None:
                cut.start()
                cut.join()

        Packages(connection, [wheel], ROOM, progress).__enter__()
    end = time.monotonic() + 10
    while kept(server):
        assert time.monotonic() < end, kept(server)
        time.sleep(0.05)


def test_what_a_killed_one_left_is_removed_by_the_next(server, connection, tmp_path):
    left = server.home / ".cache" / "edgekit" / "packages" / "arriving-old"
    left.mkdir(parents=True)
    (left / "wheel").write_bytes(b"half")
    wheel = as_wheel(tiny_wheel(tmp_path))
    with Packages(connection, [wheel], ROOM):
        assert kept(server) == [wheel.folder]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('{"ok": true}', "does not say what is missing"),
        ('{"ok": true, "missing": [1]}', "does not say what is missing"),
        ('{"ok": true, "missing": []}\n{"edgekit": 1, "ok": true, "paths": ["/etc"]}', "names another folder"),
        ('{"ok": true, "missing": []}\n{"edgekit": 1, "ok": true, "paths": []}', "names no folders"),
        ('{"ok": false, "message": "\\u001b[2J no"}', "cannot take the runtime: .2J no"),
    ],
)
def test_an_answer_of_another_shape(server, connection, tmp_path, answer, words):
    said = answer.replace('{"ok"', '{"edgekit": 1, "ok"', 1)
    (server.home / "said").write_text(said + "\n")
    server.command = "cat said"
    with pytest.raises(DeviceError, match=words):
        Packages(connection, [as_wheel(tiny_wheel(tmp_path))], ROOM).__enter__()
