"""Fixtures of every test: the real servers come from the rigs."""

pytest_plugins = ["rigs.fixtures"]
