"""`segtune evaluate`: a model's scores, and what disturbs it, as one report."""
