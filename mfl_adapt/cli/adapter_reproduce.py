"""``mfl-adapt adapter``: rebuild the run that made an adapter."""

from mfl_adapt.cli.options import new_app

app = new_app()
