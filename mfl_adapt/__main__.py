"""Runs the command line as ``python -m mfl_adapt``."""

from mfl_adapt.cli.app import main

if __name__ == "__main__":
    main()
