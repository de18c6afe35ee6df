"""Guards: what must not go unnoticed in a run, how it is seen, and what to do about it.

The table alone imports no torch, so that documentation and other tools can read it.
"""
