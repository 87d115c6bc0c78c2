"""What the synthetic data set paints."""

# In the order of painting, far to near: colour, and how often it appears.
PAINTERS: dict[str, tuple[tuple[int, int, int], float]] = {
    "sky": ((150, 185, 225), 1.0),
    "building": ((135, 100, 85), 1.0),
    "road": ((95, 90, 100), 1.0),
    "pavement": ((165, 155, 150), 1.0),
    "tree": ((60, 105, 55), 0.8),
    "fence": ((120, 120, 85), 0.4),
    "pole": ((70, 70, 75), 0.9),
    "sign": ((190, 60, 50), 0.6),
    "car": ((60, 70, 140), 0.8),
    "pedestrian": ((170, 120, 60), 0.5),
    "cyclist": ((60, 150, 150), 0.15),
}
