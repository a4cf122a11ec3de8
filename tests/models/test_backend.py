"""Building and training ask for Keras and the chosen backend; exporting asks for TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.errors import MissingExtra, UsageError
from edgekit.models import backend


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that are taken for installed."""
    packages = {"keras", "tensorflow"}
    monkeypatch.setattr(backend, "_there", packages.__contains__)
    return packages


def test_the_backend_is_the_environments_then_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert backend.chosen_backend() == "tensorflow"
    for content, want in (('{"backend": "torch"}', "torch"), ("{}", "tensorflow"), ("[", "tensorflow")):
        (tmp_path / "keras.json").write_text(content)
        assert backend.chosen_backend() == want
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.chosen_backend() == "jax"


@pytest.mark.parametrize(
    ("there", "chosen", "training", "exporting"),
    [
        ({"keras", "tensorflow"}, "tensorflow", None, None),
        ({"keras"}, "tensorflow", MissingExtra, MissingExtra),
        ({"tensorflow"}, "tensorflow", MissingExtra, MissingExtra),
        ({"keras", "jax"}, "jax", None, MissingExtra),
        ({"keras", "tensorflow", "jax"}, "jax", None, UsageError),
        ({"keras", "tensorflow"}, "jax", UsageError, UsageError),
        ({"keras", "torch"}, "torch", None, MissingExtra),
    ],
)
def test_what_is_asked_for(
    there: set[str],
    chosen: str,
    training: type[UsageError] | None,
    exporting: type[UsageError] | None,
    installed: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed.clear()
    installed |= there
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    for require, want in ((backend.require_training, training), (backend.require_exporting, exporting)):
        if want is None:
            require("A test")
        else:
            with pytest.raises(want) as missing:
                require("A test")
            assert type(missing.value) is want and missing.value.exit_code == 2
            assert missing.value.fact.startswith("A test needs") and missing.value.remedy


def test_other_backends_are_told_the_way(installed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError, match="pip install jax"):
        backend.require_training("A test")
    with pytest.raises(UsageError, match="--weights FILE"):
        backend.require_exporting("A test")
