"""Calibration: the figures of a scenario, measured in a history of prices and depths."""
