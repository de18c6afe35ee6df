"""Gives this room's tests distributions of their own."""

from fake_plugins import site

__all__ = ["site"]
