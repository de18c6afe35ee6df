"""Settings of the exporters."""

from mfl_adapt.plugin import ComponentConfig


class PlyConfig(ComponentConfig):
    """``ply`` has nothing to set: viewers expect exactly one form of it."""
