"""Reads multi-camera recordings in the layout of the markerless mouse data.

A recording is a folder with ``videos_undist/{0..5}.mp4``, mask videos ``simpleclick_undist/
{0..5}.mp4`` in which the animal is white, and a calibration ``new_cam.pkl``: a list, or a mapping
from numbers, of ``R`` (3x3), ``T`` (3x1) and ``K`` (3x3) per camera.

Conventions: OpenCV axes (x right, y down, z forward); ``R`` and ``T`` take the world into the
camera, ``x = R X + T``; the videos are already undistorted, so ``K`` is the whole lens; pixel
centres of ``K`` are at whole numbers, as in OpenCV, unless ``pixel_centers`` says otherwise. World
units are the calibration's own.
"""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``markerless_mouse.recording``."""
    from .config import RecordingConfig

    return [
        ReaderSpec(
            name="recording",
            summary="Undistorted videos, mask videos and new_cam.pkl of one recording",
            config=RecordingConfig,
            build="mfl_adapt_markerless_mouse.reader:RecordingReader",
            can_read="mfl_adapt_markerless_mouse.files:can_read",
        )
    ]
