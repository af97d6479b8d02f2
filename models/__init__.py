"""Forecasters: arrays of past demand in, arrays of quantiles out.

`predictor` uses this package; it knows nothing of `predictor` or `streams`, no clock, no network.
"""
