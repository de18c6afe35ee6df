"""``mfl-adapt adapter``: look at adapter folders and prove what they do."""

from mfl_adapt.cli.options import new_app

app = new_app()
