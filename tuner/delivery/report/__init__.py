"""Reports that are one file: HTML with everything in it, which asks nothing of the network."""
