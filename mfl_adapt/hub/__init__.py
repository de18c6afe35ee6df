"""Bases on the model hub: fetch their weights, and say what lies on this machine.

``listing`` asks what a repository holds, ``download`` brings one file and can go on with half of
it, ``fetch`` brings a base whole or not at all, ``verify`` loads it strictly and says what it is,
``overview`` lists all bases. Nothing here imports torch; ``verify`` makes a plugin do so.
"""

from mfl_adapt.hub.fetch import fetch_base
from mfl_adapt.hub.listing import Source
from mfl_adapt.hub.overview import BaseStatus, list_bases
from mfl_adapt.hub.verify import check_takes_path, describe_base, verify_files

__all__ = [
    "BaseStatus",
    "Source",
    "check_takes_path",
    "describe_base",
    "fetch_base",
    "list_bases",
    "verify_files",
]
