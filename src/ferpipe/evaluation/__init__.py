"""Metrics, intervals, calibration, curves, baselines, cross-validation and Grad-CAM."""
