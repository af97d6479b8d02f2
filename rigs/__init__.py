"""Real servers on loopback for the tests and for people: a Kafka broker, a control plane.

Called by `python -m rigs` and by the pytest fixtures in `rigs.fixtures`. Not shipped in
the wheel. Must never be imported by the service, listen beyond 127.0.0.1, or leave a
process or a folder behind.
"""
