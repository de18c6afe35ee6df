"""``mfl-adapt adapter``: look at adapter folders, prove, compare, change and publish them."""

from mfl_adapt.cli import adapter_compose, adapter_files, adapter_reproduce, adapter_share
from mfl_adapt.cli.options import new_app

app = new_app("Look at adapters, prove, compare, change and publish them.")
for part in (adapter_files, adapter_compose, adapter_reproduce, adapter_share):
    app.add_typer(part.app)
