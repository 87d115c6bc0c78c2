"""From a trained model to a file that runs without segtune, checked against the original."""
