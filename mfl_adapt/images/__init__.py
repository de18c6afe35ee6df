"""Pictures: decode, encode, warp with their cameras, composite and measure."""

from mfl_adapt.images.begin import RawView, begin_sample
from mfl_adapt.images.composite import composite
from mfl_adapt.images.decode import Picture, decode_picture, load_picture
from mfl_adapt.images.digest import digest_views
from mfl_adapt.images.encode import encode_png, save_picture
from mfl_adapt.images.foreground import Foreground, measure_foreground
from mfl_adapt.images.sources import alpha_of, choose_views, load_mask, to_mask
from mfl_adapt.images.steps import relabel_cameras, replace_pixels, warp_sample
from mfl_adapt.images.warp import resize_map

__all__ = [
    "Foreground",
    "Picture",
    "RawView",
    "alpha_of",
    "begin_sample",
    "choose_views",
    "composite",
    "decode_picture",
    "digest_views",
    "encode_png",
    "load_mask",
    "load_picture",
    "measure_foreground",
    "relabel_cameras",
    "replace_pixels",
    "resize_map",
    "save_picture",
    "to_mask",
    "warp_sample",
]
