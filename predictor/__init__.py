"""The predictive autoscaler: decides floors and weights from forecasts, and acts on the cluster."""

__version__ = "0.1.0"
