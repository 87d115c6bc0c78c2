"""What a trained model is worth: scores, calibration, and what disturbs it, as one report."""
