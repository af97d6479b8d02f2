"""Fixtures of every test: the real servers come from the rigs."""

# Hypothesis' plugin imports it at the session's end where no test did, and compiling it in the
# midst of a garbage collection is what CPython 3.11 answers with a SystemError now and then.
import hypothesis

pytest_plugins = ["rigs.fixtures"]

# How long an example takes, or takes to be made, says nothing on a machine that does other work
# beside it.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
