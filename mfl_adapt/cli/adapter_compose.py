"""``mfl-adapt adapter``: compare, combine and change adapters."""

from mfl_adapt.cli.options import new_app

app = new_app()
