"""A thousand workers at one server, without their GPUs."""
