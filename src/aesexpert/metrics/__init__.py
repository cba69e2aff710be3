"""Metrics for the `evaluate` library, each in a folder that goes to the Hub as it stands."""
