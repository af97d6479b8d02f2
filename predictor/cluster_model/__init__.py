"""One simulated workload and what is around it: pods, nodes, a queue, a metric pipeline, an HPA.

`predictor/actuators/simulated.py` puts some behind the port of a cluster, and simulations step them
directly. Event time only: nothing in here may know a clock, or what a service forecasts. Chance
comes from numpy generators that are seeded, so the same seed gives the same bytes.
"""
