"""Running .tflite files: interpreter, validation, isolation, ranges of activations. No TensorFlow."""
