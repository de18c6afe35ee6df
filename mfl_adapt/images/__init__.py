"""Pictures: decode, encode, warp with their cameras, composite and measure."""

from mfl_adapt.images.composite import composite
from mfl_adapt.images.decode import Picture, decode_picture, load_picture
from mfl_adapt.images.digest import digest_views
from mfl_adapt.images.encode import encode_png, save_picture
from mfl_adapt.images.foreground import Foreground, measure_foreground
from mfl_adapt.images.warp import resize_map, warp_camera, warp_view

__all__ = [
    "Foreground",
    "Picture",
    "composite",
    "decode_picture",
    "digest_views",
    "encode_png",
    "load_picture",
    "measure_foreground",
    "resize_map",
    "save_picture",
    "warp_camera",
    "warp_view",
]
