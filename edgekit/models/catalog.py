"""Every row of the zoo, built and counted."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.models.zoo import ALIASES, ZOO, build


@dataclass(frozen=True)
class Entry:
    """A model at one input size, in its default width: what `edgekit models` shows."""

    name: str
    aliases: tuple[str, ...]
    image_size: int
    params: int
    deployed_params: int
    macs: int
    final_map: tuple[int, int]
    preprocess: str
    source: str


def catalog(image_size: int | None = None, classes: int = 1000) -> tuple[Entry, ...]:
    """All models for `classes`, at `image_size` pixels or at the size each was published for. Raises BadInput."""
    return tuple(_entry(name, image_size or row.image_size, classes) for name, row in ZOO.items())


def _entry(name: str, size: int, classes: int) -> Entry:
    from edgekit.models.count import count  # needs Keras, which `build` asks for with a clear sentence

    row = ZOO[name]
    cost = count(build(name, classes=classes, input_shape=(size, size, 3)))
    assert cost.final_map is not None  # every model of the zoo ends in global pooling
    aliases = tuple(alias for alias, full in ALIASES.items() if full == name)
    return Entry(
        name=name,
        aliases=aliases,
        image_size=size,
        params=cost.params,
        deployed_params=cost.deployed_params,
        macs=cost.macs,
        final_map=cost.final_map,
        preprocess=row.preprocess,
        source=row.source,
    )
