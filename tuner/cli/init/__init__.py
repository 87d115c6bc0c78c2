"""`segtune init`: from a folder of images and masks to a study for it."""
