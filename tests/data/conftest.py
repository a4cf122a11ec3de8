"""Small real image folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Maker = Callable[..., Path]


@pytest.fixture
def pictures(tmp_path: Path) -> Maker:
    """pictures({"train/cat": 3, ...}) writes that many different noise images to tmp_path/set/train/cat/0.png ..."""
    generator = np.random.default_rng(0)

    def make(counts: dict[str, int], suffix: str = ".png", size: int = 6, root: str = "set") -> Path:
        for folder, count in counts.items():
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                image = Image.fromarray(generator.integers(0, 256, (size, size, 3), np.uint8))
                image.save(tmp_path / root / folder / f"{i:03d}{suffix}")
        return tmp_path / root

    return make
