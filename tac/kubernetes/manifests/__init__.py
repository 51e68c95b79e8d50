"""What is sent to the API server. Pure: settings come as arguments, dicts go out."""
