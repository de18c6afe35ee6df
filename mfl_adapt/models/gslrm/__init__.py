"""GS-LRM: a transformer that turns a few posed pictures into 3D Gaussians.

``config`` holds the architecture and is free of torch; ``model`` is the network, ``frozen`` the
base that the rest of the library sees, ``filters`` what is dropped before a set is shown.
"""
