"""A device with python3 and nothing else, and wheels for it, made of what is installed here."""

import base64
import csv
import hashlib
import io
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.measurement.devices.server import Server

HEAVY = ("/tests/", "/__pycache__/", "libLiteRtWebGpu", "/aot/", "/vendors/", "/tools/")  # what no agent imports
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"


def record_of(files: dict[str, bytes]) -> str:
    rows = io.StringIO()
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        csv.writer(rows, lineterminator="\n").writerow([name, f"sha256={digest}", len(content)])
    return rows.getvalue()


def wheel_at(path: Path, files: dict[str, bytes], about: str) -> Path:
    """A wheel with the files, in the order of a wheel; `about` is its .dist-info folder."""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{about}/RECORD", record_of(files) + f"{about}/RECORD,,\n")
    return path


def tiny_wheel(folder: Path, name: str = "tiny", version: str = "1.0", more: dict[str, bytes] | None = None) -> Path:
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": b"ANSWER = 42\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(more or {}),
    }
    return wheel_at(folder / f"{name}-{version}-py3-none-any.whl", files, about)


def installed_wheel(distribution: str, folder: Path) -> Path:
    """The wheel that an installed distribution came from, without what no agent imports."""
    found = metadata.distribution(distribution)
    named = [one for one in found.files or () if one.hash and not any(word in f"/{one}" for word in HEAVY)]
    files = {str(one): Path(str(one.locate())).read_bytes() for one in named if not str(one).startswith("..")}
    about = next(name.partition("/")[0] for name in files if ".dist-info/" in name)
    stem = about.removesuffix(".dist-info")
    return wheel_at(folder / f"{stem}-{TAG}-{TAG}-manylinux_2_17_x86_64.whl", files, about)


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory) -> Path:
    """A folder that pip finds numpy, LiteRT and Pillow in."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    for distribution in ("numpy", "ai-edge-litert", "pillow"):
        installed_wheel(distribution, folder)
    return folder


def take_everything_off(server: Server) -> None:
    """Its python3 finds the standard library alone."""
    python = server.home / "bin" / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys._base_executable}" -S "$@"\n')


@pytest.fixture
def bare(server, wheelhouse, monkeypatch, tmp_path) -> Server:
    """The device of `server` with nothing installed; pip on this machine asks no index."""
    take_everything_off(server)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return server


def kept(server: Server) -> list[str]:
    """The folders of wheels on the device, and whatever else is beside them."""
    folder = server.home / ".cache" / "edgekit" / "packages"
    return sorted(path.name for path in folder.iterdir() if path.name != "turn") if folder.is_dir() else []
