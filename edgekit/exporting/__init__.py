"""From a Keras model to verified .tflite files with cards: freeze, convert, export."""
