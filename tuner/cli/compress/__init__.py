"""`segtune prune` and `segtune quantize`: smaller and faster models from trained ones."""
