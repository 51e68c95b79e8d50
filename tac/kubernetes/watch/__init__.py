"""Following the API server: lists, watches and logs."""
