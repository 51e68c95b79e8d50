"""What the API server tells while we wait: lists, watches and logs."""
