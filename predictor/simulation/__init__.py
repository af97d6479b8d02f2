"""Plays a load against HPAs in event time, with and without a floor, and says what it came to.

`predictor/simulate_cli.py` and the control benchmark use it. Nothing in it may act on a cluster.
"""
