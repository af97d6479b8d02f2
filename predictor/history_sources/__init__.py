"""History of demand from where it is kept: CSV, Parquet, Prometheus; each becomes series."""
