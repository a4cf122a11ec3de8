"""How good a file is: metrics, paired comparison, parity with the model, budgets. No TensorFlow."""
