"""Writes the schemas that follow from the models into the package: python -m tests.write_schemas"""

from pathlib import Path

import edgekit.schemas
from edgekit.artifact import write_json

if __name__ == "__main__":
    for name, schema in edgekit.schemas.generated().items():
        write_json(Path(edgekit.schemas.__file__).with_name(f"{name}.json"), schema)
