"""`segtune train`: a configuration trained here, and compared with what it got before."""
