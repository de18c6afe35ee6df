"""Adapters that fit frozen FaceLift models to new species."""

__version__ = "0.1.0.dev0"
