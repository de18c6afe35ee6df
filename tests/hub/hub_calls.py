"""How tests of this room fetch a base."""

from mfl_adapt.hub import fetch_base
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.plugin.registry import load_plugins

GSLRM, VIEWS = "facelift.gslrm", "facelift.mvdiffusion"


def fetch(id=GSLRM, **options):
    """Fetch a base of the plugin facelift, its licence accepted."""
    base = load_plugins(["facelift"]).component(BaseSpec, id)
    return fetch_base(base, **{"accept_licence": True, **options})
