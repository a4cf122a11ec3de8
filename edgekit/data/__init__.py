"""Images: sources, preprocessing, splits, the calibration set and its linter. numpy and Pillow, no TensorFlow."""
