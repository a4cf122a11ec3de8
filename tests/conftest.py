"""Settings for every test: quiet native logs, two threads at most, no network, no measurement in the user's store, none
of their devices."""

import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ["EDGEKIT_DEVICES"] = os.path.join(tempfile.mkdtemp(prefix="edgekit-devices-"), "devices.toml")  # noqa: PTH118
os.environ["EDGEKIT_MEASUREMENTS"] = tempfile.mkdtemp(prefix="edgekit-measurements-")
