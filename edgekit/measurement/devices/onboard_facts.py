"""Runs on a device: says what it is, as one line of JSON. The standard library of Python 3.6 and newer, no more.

-> {"edgekit": 1, "ok": true, "machine", "elf": [class, machine] of python3 itself, "pointer_bits", "byte_order",
    "python": [3, 11, 2], "libc", "system", "board", "cores", "memory_bytes", "free_bytes" where edgekit's files go,
    "modules": {name: version or "" of what a measurement needs, null where it is missing},
    "kept": {folder of a wheel that was sent: bytes}}
"""

import importlib.util
import json
import os
import platform
import struct
import sys
from typing import Optional

# Module -> the distribution that it comes from.
MODULES = {
    "numpy": "numpy",
    "ai_edge_litert": "ai-edge-litert",
    "tflite_runtime": "tflite-runtime",
    "tensorflow": "tensorflow",
    "PIL": "pillow",
}
BOARDS = ("/sys/firmware/devicetree/base/model", "/proc/device-tree/model", "/sys/class/dmi/id/product_name")


def text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096).strip("\0\n ")
    except OSError:
        return ""


def elf() -> Optional[list]:
    """The class (1: 32 bit, 2: 64 bit) and the machine that python3 was built for, as its file says."""
    try:
        with open(os.path.realpath(sys.executable or "/proc/self/exe"), "rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return [head[4], struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])[0]]


def cache() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")


def free_bytes() -> int:
    """Of the nearest folder that exists of where edgekit's files would go."""
    folder = cache()
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def memory_bytes() -> Optional[int]:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def system() -> str:
    for line in text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return platform.system() + " " + platform.release()


def version(name: str) -> Optional[str]:
    """None: it is not there. Nothing is imported."""
    if importlib.util.find_spec(name) is None:
        return None
    try:
        from importlib import metadata

        return metadata.version(MODULES[name])
    except Exception:
        return ""


def kept() -> dict:
    found = {}
    home = os.path.join(cache(), "edgekit", "packages")
    for name in sorted(os.listdir(home))[:100] if os.path.isdir(home) else ():
        sizes = [
            os.lstat(os.path.join(at, one)).st_size
            for at, _, files in os.walk(os.path.join(home, name))
            for one in files
        ]
        if sizes:
            found[name] = sum(sizes)
    return found


def main() -> None:
    found = {
        "edgekit": 1,
        "ok": True,
        "machine": platform.machine(),
        "elf": elf(),
        "pointer_bits": struct.calcsize("P") * 8,
        "byte_order": sys.byteorder,
        "python": list(sys.version_info[:3]),
        "libc": " ".join(platform.libc_ver()).strip(),
        "system": system(),
        "board": next((found for found in map(text, BOARDS) if found), ""),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "free_bytes": free_bytes(),
        "modules": {name: version(name) for name in MODULES},
        "kept": kept(),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
