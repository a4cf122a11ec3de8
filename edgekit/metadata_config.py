"""What a recipe says of the metadata in its files: who made the model, under which licence, with golden vectors?"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _shown(text: str) -> str:
    """Apps show these texts: no control characters but line ends, and nothing that UTF-8 cannot hold."""
    if not all(one.isprintable() or one == "\n" for one in text):
        raise ValueError("control characters cannot be shown")
    return text


Text = Annotated[str, AfterValidator(_shown)]


class Metadata(BaseModel):
    """Written into every exported file (docs/contracts.md, "Metadata in the file")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text | None = Field(default=None, description="of the model, for people; None is the model's own name")
    description: Text | None = None
    version: Text | None = Field(default=None, description="of the model, by whoever makes it")
    author: Text | None = None
    license: Text | None = None
    golden: bool = Field(
        default=True, description="inputs with the file's own outputs for them, so that an app can check itself"
    )
