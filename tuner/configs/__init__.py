"""What a config's paths mean: components by name, from params to a config and back, checks."""
