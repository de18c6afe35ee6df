"""What ``mfl-adapt doctor --explain`` prints."""

from mfl_adapt.cli.options import open_config


def explain_code(code: str, plugins: list[str] | None) -> str:
    """Return the words on a code, or the whole page for ``all``."""
    from mfl_adapt.doctor.explain import explain
    from mfl_adapt.doctor.page import write_page
    from mfl_adapt.train.guards.table import GUARDS

    _, host = open_config(None, plugins=plugins)
    return write_page(host, GUARDS) if code == "all" else explain(code, host, GUARDS)
