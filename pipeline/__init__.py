"""One week of weekbrief, and the program around it."""

__version__ = "0.1.0"
