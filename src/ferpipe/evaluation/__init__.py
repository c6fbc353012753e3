"""Numbers: metrics, intervals, calibration, curves, baselines, cross-validation, Grad-CAM."""
