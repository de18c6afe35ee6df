"""Writes packages of new plugins from templates; imports nothing heavy and runs nothing.

The templates are files that end in ``.tmpl``. In their text ``$name`` and its like stand for what
differs, in their paths ``MODULE`` and ``NAME``, and ``dot-`` stands for a leading dot.
"""

from mfl_adapt.scaffold.kinds import KINDS, LICENCES
from mfl_adapt.scaffold.names import check_name
from mfl_adapt.scaffold.package import Package, write_package

__all__ = ["KINDS", "LICENCES", "Package", "check_name", "write_package"]
