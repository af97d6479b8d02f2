"""The pure centre: values in, decisions with reasons out; no clock, network, log or environment."""
