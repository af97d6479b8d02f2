"""What would keep the service from acting on a cluster, or would surprise.

Sources (`manifest_source.py`, `live_source.py`) make one `Scene` of plain objects; each rule of
`rules.py` reads it and gives findings. `predictor/check_cli.py` prints them. Nothing in here may
write to a cluster, or raise for what an object holds.
"""
