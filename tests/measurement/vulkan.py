"""A Vulkan driver for tests of the GPU: the machine's own, or SwiftShader, which Chromium brings."""

from __future__ import annotations

import ctypes.util
import os
from pathlib import Path

import pytest

CHROMIUM = (Path("/usr/lib/chromium"), Path("/usr/lib64/chromium-browser"), Path("/opt/google/chrome"))
ICD = "vk_swiftshader_icd.json"


def variables() -> dict[str, str]:
    """What to set in the environment of the process that opens the GPU; {} where nothing is to be set."""
    if os.environ.get("VK_ICD_FILENAMES") or ctypes.util.find_library("vulkan"):
        return {}
    for folder in CHROMIUM:
        if (folder / ICD).is_file() and (folder / "libvulkan.so.1").is_file():
            return {"VK_ICD_FILENAMES": str(folder / ICD), "LD_LIBRARY_PATH": str(folder)}
    pytest.skip("no Vulkan driver here, and no Chromium with SwiftShader")


NONE = {"VK_ICD_FILENAMES": "/nowhere/icd.json", "VK_DRIVER_FILES": "/nowhere/icd.json"}
