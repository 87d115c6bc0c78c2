"""Smaller and faster networks from trained ones: pruned, quantised, and what each step cost."""
