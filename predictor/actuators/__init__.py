"""The only places that write to a cluster, real or simulated, behind one port."""
