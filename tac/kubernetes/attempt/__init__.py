"""The life of a Job: create or adopt, follow, stop, conclude, clean up."""
