"""Making, converting, looking at and sending request events; `predictor/events_cli.py` calls it."""
