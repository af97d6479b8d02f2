"""Fixtures of every test: the real servers come from the rigs."""

# Hypothesis' plugin imports it at the session's end where no test did, and compiling it in the
# midst of a garbage collection is what CPython 3.11 answers with a SystemError now and then.
import hypothesis  # noqa: F401

pytest_plugins = ["rigs.fixtures"]
