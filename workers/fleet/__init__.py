"""Many workers on an engine that exists: `segtune fleet`."""
