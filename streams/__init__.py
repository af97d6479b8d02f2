"""From Kafka records to demand records, and back out to the topics we write.

`predictor` uses this package; it knows nothing of `predictor` or `models`.
"""
