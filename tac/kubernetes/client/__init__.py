"""The client of the API server: requests, watches and logs, over pykube.

Every error leaves it as one of tac.errors.
"""
