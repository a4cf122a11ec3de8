"""Steps that make a model smaller, faster or ready to be integer, each `keras.Model -> keras.Model` with a report."""

from edgekit.models.backend import import_keras

import_keras("Compressing")  # quietly, before any module of this room does it loudly
