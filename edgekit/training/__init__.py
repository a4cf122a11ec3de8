"""Training of a classifier: schedules, augmentation, batches, and `fit`, which continues after a kill."""

from edgekit.models.backend import import_keras

import_keras("Training")  # quietly, before any module of this room does it loudly
