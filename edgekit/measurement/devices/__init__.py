"""Devices that are reached by ssh: their list, the connection, what they are, and the agent at work on them."""
