"""From the objects of the API server to a verdict. Pure: no request, no clock, no environment."""
