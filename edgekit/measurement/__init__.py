"""How fast a file is: the agent that times it, the statistics, the bench. No TensorFlow."""
