from pathlib import Path
from typing import Any

import pytest

from tests.report.example import make_results


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """Five variants, of which int8 is chosen."""
    return make_results(tmp_path)
