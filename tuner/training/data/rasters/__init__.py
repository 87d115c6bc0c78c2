"""Image files as they are stored: what they are, before and after their pixels are decoded."""
