"""Every row of the zoo, built and counted."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.models.backend import forget_deferred, import_keras
from edgekit.models.row import Imagenet, Row
from edgekit.models.zoo import ALIASES, ZOO, build, find
from edgekit.progress import Progress, Reporter, silent

MEGABYTE = 1e6
FLOAT32_BYTES, INT8_BYTES = 4, 1


@dataclass(frozen=True)
class Entry:
    """A model at one input size, in its default width: what `edgekit models` shows.

    The megabytes (1e6) are estimates: 4 bytes, or 1, for each of the `deployed_params`; a file has its graph, scales
    and metadata beside them. `final_map` is None for a network that ends otherwise than in pooling or flattening.
    `imagenet` is what is published of the network's ImageNet weights, None where nothing is.
    """

    name: str
    aliases: tuple[str, ...]
    image_size: int
    params: int
    deployed_params: int
    macs: int
    estimated_float32_mb: float
    estimated_int8_mb: float
    final_map: tuple[int, int] | None
    preprocess: str
    source: str
    imagenet: Imagenet | None


def catalog(
    image_size: int | None = None,
    classes: int = 1000,
    model: str | None = None,
    report: Reporter = silent,
) -> tuple[Entry, ...]:
    """All models for `classes`, or just `model`, at `image_size` px or at the size each was published for.

    Raises BadInput for an unknown name and for a size that a network cannot take.
    """
    rows = dict([find(model)]) if model else ZOO
    entries = []
    for done, (name, row) in enumerate(rows.items()):
        report(Progress("counting", done, len(rows), name))
        entries.append(_entry(name, row, image_size or row.image_size, classes))
    report(Progress("counting", len(rows), len(rows)))
    return tuple(entries)


def _entry(name: str, row: Row, size: int, classes: int) -> Entry:
    # Within this scope variables get a shape but no memory and no random values: a quarter of the time.
    with import_keras("Counting a model").StatelessScope(initialize_variables=False):
        built = build(name, classes=classes, input_shape=(size, size, 3))
    forget_deferred()
    from edgekit.models.count import count  # needs Keras

    cost = count(built)
    return Entry(
        name=name,
        aliases=tuple(alias for alias, full in ALIASES.items() if full == name),
        image_size=size,
        params=cost.params,
        deployed_params=cost.deployed_params,
        macs=cost.macs,
        estimated_float32_mb=cost.deployed_params * FLOAT32_BYTES / MEGABYTE,
        estimated_int8_mb=cost.deployed_params * INT8_BYTES / MEGABYTE,
        final_map=cost.final_map,
        preprocess=row.preprocess,
        source=row.source,
        imagenet=row.imagenet,
    )
