"""What a person looks at: the report page now, probes and metrics over HTTP."""
