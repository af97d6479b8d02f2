"""The peers as floors: how other predictive autoscalers would set minReplicas on the same demand.

The simulation asks them, each with the HPA twin underneath, and compares. Nothing here knows a
clock, a network, a log or an environment: `now_s` comes with the scene.
"""
