"""Luigi's schedulers: ours in the driver's own process, and our client of `luigid`."""
