"""Fixtures of every test: the real servers come from the rigs."""

# Hypothesis' plugin imports it at the session's end where no test did, and compiling it in the
# midst of a garbage collection is what CPython 3.11 answers with a SystemError now and then.
import hypothesis

pytest_plugins = ["rigs.fixtures"]

# How long an example takes says nothing on a machine that does other work beside it.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
