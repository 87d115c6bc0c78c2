"""`segtune import`: studies of other tools."""
