"""Training: the loop, what surrounds it, and the folder that a run leaves behind.

Importing this package loads no torch; its modules do.
"""
