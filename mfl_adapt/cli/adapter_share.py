"""``mfl-adapt adapter``: publish adapters and fetch them."""

from mfl_adapt.cli.options import new_app

app = new_app()
