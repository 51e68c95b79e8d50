"""Luigi's schedulers: one in the driver's own process, and our client of `luigid`."""
