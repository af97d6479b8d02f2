"""Floors back to their owners, with nothing else of the service running: restore, off and on."""
