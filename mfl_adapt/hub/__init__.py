"""The model hub: fetch the weights of bases, publish adapters and pull them.

``listing`` asks what a repository holds, ``download`` brings one file and can go on with half of
it, ``fetch`` brings a base whole or not at all, ``verify`` loads it strictly and says what it is,
``overview`` lists all bases.

``publish`` makes a ``package`` of an adapter, which is verified, described and free of
``secrets``, and puts it into a ``registry`` (a folder with an index) or by ``upload`` into a
repository; ``pull`` brings it from there, by way of ``cached``, and verifies it before it is used.

Nothing here imports torch at the top; verifying makes a plugin or peft do so.
"""

from mfl_adapt.hub.fetch import fetch_base
from mfl_adapt.hub.listing import Source
from mfl_adapt.hub.overview import BaseStatus, list_bases
from mfl_adapt.hub.package import Words
from mfl_adapt.hub.publish import Choices, Publication, publish_adapter
from mfl_adapt.hub.pull import Pulled, pull_adapter
from mfl_adapt.hub.verify import check_takes_path, describe_base, verify_files

__all__ = [
    "BaseStatus",
    "Choices",
    "Publication",
    "Pulled",
    "Source",
    "Words",
    "check_takes_path",
    "describe_base",
    "fetch_base",
    "list_bases",
    "publish_adapter",
    "pull_adapter",
    "verify_files",
]
