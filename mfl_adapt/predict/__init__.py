"""One picture, or calibrated views, to Gaussians and files.

picture -> mask -> framed picture -> six views -> Gaussians -> result folder
"""
