"""Frozen pretrained bases, their rays, and the reading of their checkpoints.

Importing this package loads no torch; its modules do.
"""
