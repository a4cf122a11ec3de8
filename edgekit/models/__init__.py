"""The zoo: a table, a loop a family, and a counter of parameters and MACs. Any Keras backend."""
