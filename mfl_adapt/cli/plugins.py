"""``mfl-adapt plugins``: list plugins, look into them, write new ones, switch them on and off."""

from mfl_adapt.cli import (
    plugins_check,
    plugins_list,
    plugins_new,
    plugins_switch,
    plugins_trace,
)
from mfl_adapt.cli.options import new_app

app = new_app("List plugins, look into them, write new ones, switch them on and off.")
for part in (plugins_list, plugins_new, plugins_check, plugins_trace, plugins_switch):
    app.add_typer(part.app)
