"""`segtune demo`: a whole study on this machine."""
