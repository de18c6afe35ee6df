"""Compiled kernels of the CPU rasterizer; all of them in this file, and nothing but kernels.

They stay together because numba's on-disk cache looks at one file only: a callee changed in
another file would be ignored. Each kernel of the list works through the tasks ``[low, high)`` of
its stage, releases the interpreter lock and writes only what belongs to those tasks, so any
split over any number of threads gives the same bits. All other functions are copied into the
kernels that call them, so that a kernel has the same machine code, and gives the same bits,
whether this process compiled it, in whatever order, or read it from the cache.

    project           task = (view, chunk of Gaussians): 3D Gaussians to records on the screen
    restrict          task = (view, chunk): drop what lies outside the boxes, where there are some
    count, fill       task = (view, chunk): which 32 x 32 pixel regions each record touches
    composite         task = (view, region): draw the records front to back
    composite_grad    task = (view, region): the same pairs back to front
    project_grad      task = chunk: from records back to Gaussians and cameras

Three rules keep the inner loops fast. Everything is float32, constants included, for one float64
would halve the vector width. The pixel planes of a region share one flat array, so that the
compiler sees that they do not overlap. The innermost loops run over exactly 8 pixels.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from mfl_adapt.render.protocol import (
    ALPHA_MIN,
    EXTENT_MAX,
    FAR,
    JACOBIAN_MARGIN,
    SCREEN_BLUR,
    TRANSMITTANCE_MIN,
)

# The compiler infers its own types, which Python's annotations cannot express: these names tell
# the reader what a value is. Real is a float32, Vector a tuple of three.
Real: TypeAlias = Any
Int: TypeAlias = Any
Vector: TypeAlias = Any
Array: TypeAlias = Any

_log = logging.getLogger(__name__)

CHUNK = 4096  # Gaussians per task
SIDE = 32  # pixels per region side; one row of a region fits the bits of one mask
SUMS = 10  # floats of gradient per entry, see composite_grad
RECORD = 12  # floats per record: a Gaussian as one view sees it, in these columns
MX, MY, A, B, D, OPACITY, REACH2, RY, Z, RED, GREEN, BLUE = range(RECORD)
# MX, MY is the centre in pixels. A = Syy / det, B = -Sxy / Syy and D = 1 / Syy come from the 2D
# covariance S: sigma = (A w^2 + D dy^2) / 2 with w = dx + B dy, which cannot go below 0. Pixels
# with 2 sigma > REACH2 see nothing of it; RY is that reach along y.


class Scene(NamedTuple):
    """What the caller gave: N Gaussians, V views, and the settings."""

    means: Array  # [N, 3] float32, as all arrays here
    quats: Array  # [N, 4]
    scales: Array  # [N, 3]
    opacities: Array  # [N]
    colors: Array  # [1 or V, N, 3]
    views: Array  # [V, 4, 4], world to camera
    cameras: Array  # [V, 4], fx, fy, cx, cy in pixels
    width: Int
    height: Int
    near: Real
    max_alpha: Real


class Screen(NamedTuple):
    """Visible Gaussians per view: those of a chunk fill the first of the chunk's slots."""

    records: Array  # [V * N, RECORD] float32
    ids: Array  # [V * N] int32, index of the Gaussian
    rects: Array  # [V * N, 4] int16, regions it touches: first and last column, first and last row
    found: Array  # [V * chunks] int64, how many slots of the chunk are filled


class Lists(NamedTuple):
    """Entries, one per (record, region) pair, region by region."""

    starts: Array  # [V, regions + 1] int64, where each region begins
    cursors: Array  # [V * chunks, regions] int64, where each chunk begins in each region
    keys: Array  # [entries] uint64: depth bits, then the entry's place in its region
    slots: Array  # [entries] int32, where its record is; not moved when the keys are sorted


class Pixels(NamedTuple):
    """Pictures of V views, float32."""

    image: Array  # [V, 4, H, W], sums of colour and depth
    light: Array  # [V, H, W], share of the background that is left
    last: Array  # [V, H, W], place of the last drawn entry in the order of depth; -1: none


class Gradients(NamedTuple):
    """Gradients of the scene; they come in as zeros."""

    means: Array
    quats: Array
    scales: Array
    opacities: Array
    colors: Array
    views: Array  # [chunks, V, 4, 4] float64, one part per task, to be added in order


_F, _I64, _U64 = np.float32, np.int64, np.uint64
_ZERO, _HALF, _ONE, _TWO = _F(0), _F(0.5), _F(1), _F(2)
_ALPHA_MIN, _TRANSMITTANCE_MIN = _F(ALPHA_MIN), _F(TRANSMITTANCE_MIN)
_BLUR, _MARGIN = _F(SCREEN_BLUR), _F(JACOBIAN_MARGIN)
_REACH2_MAX, _FAR, _HUGE = _F(EXTENT_MAX**2), _F(FAR), _F(3e38)
_SLACK = _F(0.02)  # pixels; the alpha test decides, the extents only save work
_HALF_LOG2E, _EXPONENT_MAX = _F(math.log2(math.e) / 2), _F(100)
# 2^-f on [0, 1), exact at 0, relative error 1e-7.
_P1, _P2, _P3 = _F(-0.6931437210925073), _F(0.24018014242913593), _F(-0.05529735703482145)
_P4, _P5 = _F(0.009205796853012725), _F(-0.0009449031490494634)

_BATCH = 64  # records gathered between two looks at which pixels still need any
_ROW = SIDE + 8  # floats per row, so that 8-pixel blocks may run over the edge
_PLANE = SIDE * _ROW
# Planes of a region. T: light that is left, negative once the pixel is full. S: gradient of all
# that lies behind. C: colour and depth, or their gradients.
_T, _LAST, _S, _C0, _C1, _C2, _C3 = (_U64(k * _PLANE) for k in range(7))
_LOW_BITS, _SHIFT, _TOP_BIT = _U64(0xFFFFFFFF), _U64(32), _U64(31)

# What the compiler may do to arithmetic: contract and reorder it. NaN and infinity keep their
# meaning, as they must fail the culling tests.
_LICENCES = {"contract", "nsz", "arcp", "reassoc"}


def _kernel(function: Callable[..., Any]) -> Any:
    """Compile at first use; cache on disk where some cache folder can be written."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": _LICENCES}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write to
        _log.debug("no writable numba cache: %s is compiled in every process", function.__name__)
        return njit(**options)(function)


def _inlined(function: Callable[..., Any], *, licences: Any = _LICENCES) -> Any:
    """Copy the function into every kernel that calls it; for Python it stays as it is.

    Left to itself it would exist alone and once more in each kernel, every copy optimized in
    another round and with other last bits in its sums. Which of them runs would depend on what
    the process compiled and what it read from the cache.
    """
    return register_jitable(
        error_model="numpy",
        fastmath=licences,
        forceinline=True,
        no_cpython_wrapper=True,  # nothing can enter it from outside; a fifth less to compile
        no_cfunc_wrapper=True,
    )(function)


def _inlined_strictly(function: Callable[..., Any]) -> Any:
    """Copy it into its callers without any licence to reorder its arithmetic."""
    return _inlined(function, licences=False)  # if none were named, it would get its caller's


@intrinsic
def _float_from_bits(_context: Any, bits: Any) -> Any:
    """Reinterpret an int32 as a float32."""

    def generate(target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], target.get_value_type(types.float32))

    return types.float32(types.int32), generate


@intrinsic
def _stack_floats(_context: Any) -> Any:
    """Pointer to 8 floats per sum on the stack of the calling function.

    The compiler knows that stack memory overlaps no array, which nothing else would tell it; the
    loop that adds to it would otherwise stay scalar.
    """
    pointer = types.CPointer(types.float32)

    def generate(target: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        floats = target.get_value_type(types.UniTuple(types.float32, 8 * SUMS))
        block = cgutils.alloca_once(builder, floats)
        return builder.bitcast(block, target.get_value_type(pointer))

    return pointer(), generate


@_inlined
def _exp2_negative(t: Real) -> Real:
    """2^-t for t >= 0; ``math.exp`` would not vectorize."""
    t = min(t, _EXPONENT_MAX)
    whole = np.int32(t)
    f = t - _F(whole)
    power = _float_from_bits(np.int32((np.int32(127) - whole) << np.int32(23)))
    return power * (_ONE + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5)))))


@_inlined
def _dot(a: Vector, b: Vector) -> Real:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@_inlined
def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


@_inlined
def _times(s: Real, a: Vector) -> Vector:
    return (s * a[0], s * a[1], s * a[2])


@_inlined
def _mix(s: Real, a: Vector, t: Real, b: Vector) -> Vector:
    return (s * a[0] + t * b[0], s * a[1] + t * b[1], s * a[2] + t * b[2])


@_inlined
def _vector(array: Array, row: Int) -> Vector:
    return (array[row, 0], array[row, 1], array[row, 2])


@_inlined
def _quaternion(array: Array, row: Int) -> Any:
    return (array[row, 0], array[row, 1], array[row, 2], array[row, 3])


@_inlined
def _add(array: Array, row: Int, value: Vector) -> None:
    for k in range(3):
        array[row, k] += value[k]


# ---------------------------------------------------------------- projection


@_inlined
def chunks_per_view(scene: Scene) -> Int:
    """Chunks of Gaussians; never 0, so that an empty scene takes the same path as any other."""
    return max((len(scene.means) + CHUNK - 1) // CHUNK, 1)


@_inlined
def _pose(views: Array, view: Int) -> Any:
    """Rows of the rotation from world to camera, and the translation."""
    right, down, forward = _vector(views[view], 0), _vector(views[view], 1), _vector(views[view], 2)
    return right, down, forward, (views[view, 0, 3], views[view, 1, 3], views[view, 2, 3])


@_inlined
def _lens(scene: Scene, view: Int) -> Any:
    """Fx, fy, cx, cy, width and height in pixels."""
    cameras = scene.cameras
    focal, center = (cameras[view, 0], cameras[view, 1]), (cameras[view, 2], cameras[view, 3])
    return (*focal, *center, _F(scene.width), _F(scene.height))


@_inlined_strictly
def _depth(mean: Vector, pose: Any) -> Real:
    """Camera z in one fixed order of operations: near ties of z decide the drawing order."""
    row, shift = pose[2], pose[3][2]
    return ((row[0] * mean[0] + row[1] * mean[1]) + row[2] * mean[2]) + shift


@_inlined
def _axes(quat: Any) -> tuple[Vector, Vector, Vector, Any, Real]:
    """Columns of the rotation of a quaternion, the unit quaternion and 1 / its length."""
    w, x, y, z = quat
    inverse = _ONE / math.sqrt(w * w + x * x + y * y + z * z)
    w, x, y, z = w * inverse, x * inverse, y * inverse, z * inverse
    r0 = (_ONE - _TWO * (y * y + z * z), _TWO * (x * y + w * z), _TWO * (x * z - w * y))
    r1 = (_TWO * (x * y - w * z), _ONE - _TWO * (x * x + z * z), _TWO * (y * z + w * x))
    r2 = (_TWO * (x * z + w * y), _TWO * (y * z - w * x), _ONE - _TWO * (x * x + y * y))
    return r0, r1, r2, (w, x, y, z), inverse


@_inlined
def _scaled_axes(quat: Any, scale: Vector) -> tuple[Vector, Vector, Vector]:
    """Columns of M = R diag(s)."""
    r0, r1, r2, _, _ = _axes(quat)
    return _times(scale[0], r0), _times(scale[1], r1), _times(scale[2], r2)


@_inlined
def _clamped(u: Real, focal: Real, center: Real, size: Real) -> Real:
    """``u`` within 15 % of the picture beyond its edges; used inside the Jacobian only."""
    margin = _MARGIN * size / focal
    return min(max(u, -center / focal - margin), (size - center) / focal + margin)


@_inlined
def _jacobian(mean: Vector, z: Real, pose: Any, lens: Any) -> Any:
    """Give x / z and y / z, the same clamped, focal lengths / z, and the rows P0, P1 of J R."""
    right, down, forward, translation = pose
    fx, fy, cx, cy, width, height = lens
    u = (_dot(right, mean) + translation[0]) / z
    v = (_dot(down, mean) + translation[1]) / z
    uc, vc = _clamped(u, fx, cx, width), _clamped(v, fy, cy, height)
    jx, jy = fx / z, fy / z
    p0, p1 = _mix(jx, right, -jx * uc, forward), _mix(jy, down, -jy * vc, forward)
    return u, v, uc, vc, jx, jy, p0, p1


@_inlined
def _project_one(
    mean: Vector, quat: Any, scale: Vector, opacity: Real, z: Real, pose: Any, lens: Any
) -> tuple[Real, Any]:
    """Reach along x and the first nine columns of the record; reach -1 if no pixel can see it."""
    u, v, _, _, _, _, p0, p1 = _jacobian(mean, z, pose, lens)
    m0, m1, m2 = _scaled_axes(quat, scale)
    a = (_dot(p0, m0), _dot(p0, m1), _dot(p0, m2))
    b = (_dot(p1, m0), _dot(p1, m1), _dot(p1, m2))
    # |a x b|^2 + ... has no cancellation, unlike Sxx Syy - Sxy^2, which is off for thin splats.
    normal = _cross(a, b)
    aa, bb = _dot(a, a), _dot(b, b)
    det = _dot(normal, normal) + _BLUR * (aa + bb) + _BLUR * _BLUR
    sxx, syy = aa + _BLUR, bb + _BLUR
    reach2 = min(max(_TWO * _F(math.log(_F(255) * opacity)), _ZERO), _REACH2_MAX)
    mx, my = lens[0] * u + lens[2], lens[1] * v + lens[3]
    rx, ry = math.sqrt(reach2 * sxx), math.sqrt(reach2 * syy)
    visible = det < _HUGE and mx + rx > _ZERO and mx - rx < lens[4]
    visible = visible and my + ry > _ZERO and my - ry < lens[5]
    record = (mx, my, syy / det, -_dot(a, b) / syy, _ONE / syy, opacity, reach2, ry, z)
    return (rx if visible else -_ONE), record


@_inlined
def _region_span(middle: Real, radius: Real, size: Int) -> tuple[Int, Int]:
    """First and last region along one axis that a splat can reach."""
    first = max(middle - radius - _SLACK, _ZERO)
    last = min(middle + radius + _SLACK, _F(size) - _HALF)
    return np.int16(_I64(first) // SIDE), np.int16(_I64(last) // SIDE)


@_kernel
def project(low: Int, high: Int, scene: Scene, screen: Screen) -> None:
    """Write the records of the visible Gaussians, with ids, rects and found."""
    means, quats, scales, opacities = scene.means, scene.quats, scene.scales, scene.opacities
    n, chunks, records, rects = (
        len(scene.means),
        chunks_per_view(scene),
        screen.records,
        screen.rects,
    )
    for task in range(low, high):
        view, first = task // chunks, (task % chunks) * CHUNK
        pose, lens = _pose(scene.views, view), _lens(scene, view)
        palette = scene.colors[view if len(scene.colors) > 1 else 0]
        slot = view * n + first
        for i in range(first, min(first + CHUNK, n)):
            mean, opacity = _vector(means, i), opacities[i]
            z = _depth(mean, pose)
            # These tests, and those on the screen, are written so that NaN fails them.
            if not (_ALPHA_MIN <= opacity < _HUGE and scene.near <= z <= _FAR):
                continue
            quat, scale = _quaternion(quats, i), _vector(scales, i)
            rx, record = _project_one(mean, quat, scale, opacity, z, pose, lens)
            if rx < _ZERO:
                continue
            for k in range(9):
                records[slot, k] = record[k]
            for k in range(3):
                records[slot, RED + k] = palette[i, k]
            left, right = _region_span(record[MX], rx, scene.width)
            top, bottom = _region_span(record[MY], record[RY], scene.height)
            rects[slot, 0], rects[slot, 1] = left, right
            rects[slot, 2], rects[slot, 3] = top, bottom
            screen.ids[slot] = i
            slot += 1
        screen.found[task] = slot - view * n - first


# ---------------------------------------------------------------- binning


@_inlined
def _slots(scene: Scene, screen: Screen, task: Int) -> tuple[Int, Int]:
    """First filled slot of a (view, chunk) task, and one past the last."""
    chunks = chunks_per_view(scene)
    start = (task // chunks) * len(scene.means) + (task % chunks) * CHUNK
    return start, start + screen.found[task]


@_inlined
def _across(scene: Scene) -> Int:
    """Regions side by side."""
    return (scene.width + SIDE - 1) // SIDE


@_inlined
def regions_per_view(scene: Scene) -> Int:
    """Regions of one picture."""
    return _across(scene) * ((scene.height + SIDE - 1) // SIDE)


@_kernel
def restrict(low: Int, high: Int, scene: Scene, screen: Screen, boxes: Array) -> None:
    """Keep the records that touch the box of their view, and the regions of each within it.

    ``boxes`` [V, 4] int16 are regions, as in the rects of the records: first and last column,
    first and last row. Whole regions stay, with all that they hold and in the same order, so that
    their pixels and gradients keep their bits.
    """
    records, ids, rects = screen.records, screen.ids, screen.rects
    for task in range(low, high):
        view = task // chunks_per_view(scene)
        start, stop = _slots(scene, screen, task)
        kept = start
        for slot in range(start, stop):
            left, right = max(rects[slot, 0], boxes[view, 0]), min(rects[slot, 1], boxes[view, 1])
            top, bottom = max(rects[slot, 2], boxes[view, 2]), min(rects[slot, 3], boxes[view, 3])
            if left > right or top > bottom:
                continue
            for k in range(RECORD):
                records[kept, k] = records[slot, k]
            ids[kept] = ids[slot]
            rects[kept, 0], rects[kept, 1] = left, right
            rects[kept, 2], rects[kept, 3] = top, bottom
            kept += 1
        screen.found[task] = kept - start


@_kernel
def count(low: Int, high: Int, scene: Scene, screen: Screen, counts: Array) -> None:
    """Count in ``counts[task, region]``, which comes in as zeros, the records that touch it."""
    across, rects = _across(scene), screen.rects
    for task in range(low, high):
        start, stop = _slots(scene, screen, task)
        for slot in range(start, stop):
            for row in range(rects[slot, 2], rects[slot, 3] + 1):
                for column in range(rects[slot, 0], rects[slot, 1] + 1):
                    counts[task, row * across + column] += 1


@_kernel
def fill(
    low: Int, high: Int, scene: Scene, screen: Screen, lists: Lists, depth_bits: Array
) -> None:
    """Write the keys and slots of all entries.

    An entry's place in its region grows with the index of the Gaussian, so comparing whole keys
    settles ties of depth. ``depth_bits`` are the records seen as uint32.
    """
    across, rects = _across(scene), screen.rects
    for task in range(low, high):
        cursor, starts = lists.cursors[task].copy(), lists.starts[task // chunks_per_view(scene)]
        start, stop = _slots(scene, screen, task)
        for slot in range(start, stop):
            bits = _U64(depth_bits[slot, Z]) << _SHIFT
            for row in range(rects[slot, 2], rects[slot, 3] + 1):
                for column in range(rects[slot, 0], rects[slot, 1] + 1):
                    region = row * across + column
                    entry = cursor[region]
                    cursor[region] = entry + 1
                    lists.keys[entry] = bits | _U64(entry - starts[region])
                    lists.slots[entry] = slot


# ---------------------------------------------------------------- depth order


@_inlined_strictly
def _bucket(key: Int, nearest: Int, scale: Any) -> Int:
    return _I64(np.float64((key >> _SHIFT) - nearest) * scale)


@_inlined
def _distribute(keys: Array) -> Array:
    """Move keys into buckets of ascending depth, unsorted inside; return where each one ends."""
    n = len(keys)
    nearest, farthest = keys[0] >> _SHIFT, keys[0] >> _SHIFT
    for i in range(n):
        bits = keys[i] >> _SHIFT
        nearest, farthest = min(nearest, bits), max(farthest, bits)
    buckets = n // 8 + 1
    scale = buckets / (np.float64(farthest - nearest) + 1.0)
    ends = np.zeros(buckets + 1, np.int64)
    for i in range(n):
        ends[_bucket(keys[i], nearest, scale) + 1] += 1
    for k in range(buckets):
        ends[k + 1] += ends[k]
    copy = keys.copy()
    for i in range(n):
        k = _bucket(copy[i], nearest, scale)
        keys[ends[k]] = copy[i]
        ends[k] += 1
    return ends


@_inlined
def _sort(keys: Array, low: Int, high: Int) -> None:
    """Shell sort of ``keys[low:high]`` in place: insertion sort for the usual handful."""
    gap = 1
    while gap < (high - low) // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(low + gap, high):
            key = keys[i]
            j = i
            while j >= low + gap and keys[j - gap] > key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


# ---------------------------------------------------------------- regions of pixels


@_inlined
def _region(scene: Scene, task: Int) -> tuple[Int, Int, Any]:
    """View and region of a task, and the region's first row and column, height and width."""
    across, regions = _across(scene), regions_per_view(scene)
    view, region = task // regions, task % regions
    y0, x0 = (region // across) * SIDE, (region % across) * SIDE
    return view, region, (y0, x0, min(SIDE, scene.height - y0), min(SIDE, scene.width - x0))


@_inlined
def _pixel(row: Int, column: Int) -> Int:
    """Place in a plane; unsigned, as a signed index would bring code for negative ones."""
    return _U64(row) * _U64(_ROW) + _U64(column)


@_inlined
def _load(buffer: Array, plane: Int, picture: Array, area: Any) -> None:
    """Copy one region of a picture [H, W] into a plane."""
    y0, x0, rows, columns = area
    for row in range(rows):
        for column in range(columns):
            buffer[plane + _pixel(row, column)] = picture[y0 + row, x0 + column]


@_inlined
def _store(buffer: Array, plane: Int, picture: Array, area: Any) -> None:
    """Copy a plane into its region of a picture [H, W]."""
    y0, x0, rows, columns = area
    for row in range(rows):
        for column in range(columns):
            picture[y0 + row, x0 + column] = buffer[plane + _pixel(row, column)]


@_inlined
def _gather(records: Array, keys: Array, slots: Array, first: Int, area: Any, batch: Array) -> None:
    """Copy records in drawing order, from the ``first`` on, with centres relative to the area."""
    y0, x0, _, _ = area
    for e in range(len(batch)):
        slot = slots[_I64(keys[first + e] & _LOW_BITS)]
        for k in range(RECORD):
            batch[e, k] = records[slot, k]
        batch[e, MX] -= _F(x0) + _HALF
        batch[e, MY] -= _F(y0) + _HALF


@_inlined
def _span(middle: Real, reach: Real, size: Int) -> tuple[Int, Int]:
    """First and last of ``size`` pixels within ``reach``; empty (1, 0) if there is none."""
    first = max(middle - reach - _SLACK, _ZERO)
    last = min(middle + reach + _SLACK, _F(size - 1))
    if not first <= last:
        return 1, 0
    return _I64(math.ceil(first)), _I64(math.floor(last))


# ---------------------------------------------------------------- drawing


@_inlined
def _splat(
    buffer: Array, alive: Array, index: Real, batch: Array, e: Int, area: Any, max_alpha: Real
) -> None:
    """Draw one record over the living pixels of its rows."""
    mx, my, a, slope, d = batch[e, MX], batch[e, MY], batch[e, A], batch[e, B], batch[e, D]
    opacity, reach2, inverse_a = batch[e, OPACITY], batch[e, REACH2], _ONE / a
    red, green, blue, z = batch[e, RED], batch[e, GREEN], batch[e, BLUE], batch[e, Z]
    first_row, last_row = _span(my, batch[e, RY], area[2])
    for row in range(first_row, last_row + 1):
        living = alive[row]
        if living == 0:
            continue
        dy = my - _F(row)
        middle, tail = mx + slope * dy, d * dy * dy
        reach = math.sqrt(max(reach2 - tail, _ZERO) * inverse_a)
        first, last = _span(middle, reach, area[3])
        if first > last:
            continue
        if (living >> _U64(first)) << (_TOP_BIT - _U64(last - first)) & _LOW_BITS == 0:
            continue
        for column in range(first, last + 1, 8):
            base, w0 = _pixel(row, column), middle - _F(column)
            for k in range(8):
                p = base + _U64(k)
                w = w0 - _F(k)
                raw = opacity * _exp2_negative(_HALF_LOG2E * (a * w * w + tail))
                alpha = min(raw, max_alpha)
                light = buffer[p + _T]
                left = light * (_ONE - alpha)
                hit = (alpha >= _ALPHA_MIN) & (light > _ZERO)
                drawn = hit & (left > _TRANSMITTANCE_MIN)
                weight = alpha * light if drawn else _ZERO
                buffer[p + _C0] += weight * red
                buffer[p + _C1] += weight * green
                buffer[p + _C2] += weight * blue
                buffer[p + _C3] += weight * z
                buffer[p + _LAST] = index if drawn else buffer[p + _LAST]
                buffer[p + _T] = left if drawn else (-light if hit else light)


@_inlined
def _find_living(buffer: Array, alive: Array) -> bool:
    """Set one mask of living pixels per row; True if there is any."""
    some = _U64(0)
    for row in range(SIDE):
        mask = _U64(0)
        for k in range(SIDE):
            mask |= _U64(buffer[_pixel(row, k) + _T] > _ZERO) << _U64(k)
        alive[row] = mask
        some |= mask
    return some != 0


@_inlined
def _draw(
    buffer: Array, records: Array, keys: Array, slots: Array, area: Any, max_alpha: Real
) -> None:
    """Draw the entries of one region, sorting only as far as they are needed."""
    alive = np.empty(SIDE, np.uint64)
    batch = np.empty((_BATCH, RECORD), np.float32)
    ends = _distribute(keys)
    done, ready, bucket = 0, 0, 0
    while done < len(keys) and _find_living(buffer, alive):
        number = min(_BATCH, len(keys) - done)
        while ready < done + number:
            _sort(keys, ready, ends[bucket])
            ready = ends[bucket]
            bucket += 1
        _gather(records, keys, slots, done, area, batch[:number])
        for e in range(number):
            _splat(buffer, alive, _F(done + e), batch, e, area, max_alpha)
        done += number


@_kernel
def composite(
    low: Int, high: Int, scene: Scene, screen: Screen, lists: Lists, pixels: Pixels
) -> None:
    """Draw regions; on the way the keys of each are put into the order of depth."""
    for task in range(low, high):
        view, region, area = _region(scene, task)
        buffer = np.zeros(7 * _PLANE, np.float32)
        buffer[_LAST : _LAST + _U64(_PLANE)] = -_ONE
        for row in range(area[2]):  # pixels outside the picture keep T = 0 and so stay dead
            for column in range(area[3]):
                buffer[_pixel(row, column) + _T] = _ONE
        own = slice(lists.starts[view, region], lists.starts[view, region + 1])
        if own.start < own.stop:
            _draw(buffer, screen.records, lists.keys[own], lists.slots[own], area, scene.max_alpha)
        for p in range(_PLANE):
            buffer[_U64(p) + _T] = abs(buffer[_U64(p) + _T])
        _store(buffer, _T, pixels.light[view], area)
        _store(buffer, _LAST, pixels.last[view], area)
        for k in range(4):
            _store(buffer, _C0 + _U64(k * _PLANE), pixels.image[view, k], area)


# ---------------------------------------------------------------- drawing, backward


@_inlined
def _splat_grad(
    buffer: Array,
    latest: Array,
    index: Real,
    batch: Array,
    e: Int,
    area: Any,
    max_alpha: Real,
    sums: Array,
    entry: Int,
) -> None:
    """Undo one record pixel by pixel and write its ten sums, first in eight lanes each.

    With T the light in front of the record, c its colour, g = dL/dC and S the gradient of all
    that lies behind: v_alpha = T (c . g) - S / (1 - alpha); then S += alpha T (c . g).
    """
    lanes = carray(_stack_floats(), (8 * SUMS,))
    for j in range(8 * SUMS):
        lanes[_U64(j)] = _ZERO
    mx, my, a, slope, d = batch[e, MX], batch[e, MY], batch[e, A], batch[e, B], batch[e, D]
    opacity, reach2, inverse_a = batch[e, OPACITY], batch[e, REACH2], _ONE / a
    red, green, blue, z = batch[e, RED], batch[e, GREEN], batch[e, BLUE], batch[e, Z]
    first_row, last_row = _span(my, batch[e, RY], area[2])
    for row in range(first_row, last_row + 1):
        if latest[row] < index:
            continue
        dy = my - _F(row)
        middle, tail = mx + slope * dy, d * dy * dy
        reach = math.sqrt(max(reach2 - tail, _ZERO) * inverse_a)
        first, last = _span(middle, reach, area[3])
        for column in range(first, last + 1, 8):
            base, w0 = _pixel(row, column), middle - _F(column)
            for k in range(8):
                p, lane = base + _U64(k), _U64(k)
                w = w0 - _F(k)
                raw = opacity * _exp2_negative(_HALF_LOG2E * (a * w * w + tail))
                alpha = min(raw, max_alpha)
                drawn = (alpha >= _ALPHA_MIN) & (buffer[p + _LAST] >= index)
                alpha = alpha if drawn else _ZERO
                raw = raw if drawn & (raw <= max_alpha) else _ZERO
                g0, g1, g2 = buffer[p + _C0], buffer[p + _C1], buffer[p + _C2]
                g3, behind = buffer[p + _C3], buffer[p + _S]
                inverse = _ONE / (_ONE - alpha)
                light = buffer[p + _T] * inverse
                gain = light * (red * g0 + green * g1 + blue * g2 + z * g3)
                weight = alpha * light
                v = raw * (behind * inverse - gain)  # dL/dsigma
                buffer[p + _T] = light
                buffer[p + _S] = behind + alpha * gain
                lanes[lane] += v
                lanes[lane + _U64(8)] += v * w
                lanes[lane + _U64(16)] += v * dy
                lanes[lane + _U64(24)] += v * w * w
                lanes[lane + _U64(32)] += v * w * dy
                lanes[lane + _U64(40)] += v * dy * dy
                lanes[lane + _U64(48)] += weight * g0
                lanes[lane + _U64(56)] += weight * g1
                lanes[lane + _U64(64)] += weight * g2
                lanes[lane + _U64(72)] += weight * g3
    for j in range(SUMS):
        total: Real = _ZERO
        for k in range(8):
            total += lanes[_U64(8 * j + k)]
        sums[entry, j] = total


@_inlined
def _undraw(
    buffer: Array,
    records: Array,
    keys: Array,
    slots: Array,
    area: Any,
    max_alpha: Real,
    sums: Array,
) -> None:
    """Walk one region back to front from the last entry that any pixel took."""
    latest = np.full(SIDE, -_ONE, np.float32)
    for row in range(area[2]):
        for column in range(area[3]):
            latest[row] = max(latest[row], buffer[_pixel(row, column) + _LAST])
    batch = np.empty((_BATCH, RECORD), np.float32)
    stop: Int = _I64(latest.max()) + 1
    while stop > 0:
        first = max(stop - _BATCH, 0)
        _gather(records, keys, slots, first, area, batch[: stop - first])
        for e in range(stop - first - 1, -1, -1):
            entry = _I64(keys[first + e] & _LOW_BITS)
            _splat_grad(buffer, latest, _F(first + e), batch, e, area, max_alpha, sums, entry)
        stop = first


@_kernel
def composite_grad(
    low: Int,
    high: Int,
    scene: Scene,
    screen: Screen,
    lists: Lists,
    light: Array,
    last: Array,
    v_image: Array,
    v_light: Array,
    sums: Array,
) -> None:
    """Gradients of the records from those of the pictures, one row per entry.

    The columns of ``sums`` [entries, 10] are U0, U1, W1, U2, UW, W2: sums of v = dL/dsigma and
    of v w, v dy, v w^2, v w dy, v dy^2; then dL/d colour and depth. Entries that no pixel took
    keep the zeros they come with.
    """
    for task in range(low, high):
        view, region, area = _region(scene, task)
        own = slice(lists.starts[view, region], lists.starts[view, region + 1])
        if own.start == own.stop:
            continue
        buffer = np.zeros(7 * _PLANE, np.float32)
        buffer[_LAST : _LAST + _U64(_PLANE)] = -_ONE
        _load(buffer, _T, light[view], area)
        _load(buffer, _LAST, last[view], area)
        _load(buffer, _S, v_light[view], area)
        for k in range(4):
            _load(buffer, _C0 + _U64(k * _PLANE), v_image[view, k], area)
        for p in range(_PLANE):
            buffer[_U64(p) + _S] *= buffer[_U64(p) + _T]
        _undraw(
            buffer,
            screen.records,
            lists.keys[own],
            lists.slots[own],
            area,
            scene.max_alpha,
            sums[own],
        )


# ---------------------------------------------------------------- projection, backward


@_inlined
def _add_entries(
    rects: Array, slot: Int, across: Int, cursor: Array, sums: Array, total: Array
) -> None:
    """Add up the sums of all entries of one record, and step over them."""
    total[:] = _ZERO
    for row in range(rects[slot, 2], rects[slot, 3] + 1):
        for column in range(rects[slot, 0], rects[slot, 1] + 1):
            region = row * across + column
            for k in range(SUMS):
                total[k] += sums[cursor[region], k]
            cursor[region] += 1


@_inlined
def _covariance_grad(
    record: Any, moments: Any, p0: Vector, p1: Vector, m: Any
) -> tuple[Any, Vector, Vector]:
    """Carry U2, UW and W2 through the 2D covariance to M (by columns), P0 and P1."""
    a, beta, delta = record
    # In moments of w, not of dx: with those, thin splats would lose three digits.
    v00 = -_HALF * a * a * moments[0]
    cross = -_HALF * a * delta * moments[1]
    v01 = beta * v00 + cross
    v11 = beta * beta * v00 + _TWO * beta * cross - _HALF * delta * delta * moments[2]
    m0, m1, m2 = m
    a, b = (_dot(p0, m0), _dot(p0, m1), _dot(p0, m2)), (_dot(p1, m0), _dot(p1, m1), _dot(p1, m2))
    v_a, v_b = _mix(_TWO * v00, a, _TWO * v01, b), _mix(_TWO * v01, a, _TWO * v11, b)
    v_m = _mix(v_a[0], p0, v_b[0], p1), _mix(v_a[1], p0, v_b[1], p1), _mix(v_a[2], p0, v_b[2], p1)
    v_p0 = _mix(_ONE, _mix(v_a[0], m0, v_a[1], m1), v_a[2], m2)
    v_p1 = _mix(_ONE, _mix(v_b[0], m0, v_b[1], m1), v_b[2], m2)
    return v_m, v_p0, v_p1


@_inlined
def _project_one_grad(
    mean: Vector, m: Any, z: Real, record: Any, first: Any, second: Any, pose: Any, lens: Any
) -> Any:
    """Carry the gradient of one record to the mean, M, the rows of R and the translation.

    ``record`` is A, B, D; ``first`` is U1, W1 and dL/dz, ``second`` is U2, UW, W2.
    """
    right, down, forward, _ = pose
    u, v, uc, vc, jx, jy, p0, p1 = _jacobian(mean, z, pose, lens)
    v_m, v_p0, v_p1 = _covariance_grad(record, second, p0, p1, m)
    v_mx = record[0] * first[0]
    v_my = record[1] * v_mx + record[2] * first[1]
    v_jx = _dot(v_p0, _mix(_ONE, right, -uc, forward))
    v_jy = _dot(v_p1, _mix(_ONE, down, -vc, forward))
    v_u = lens[0] * v_mx - (jx * _dot(v_p0, forward) if u == uc else _ZERO)
    v_v = lens[1] * v_my - (jy * _dot(v_p1, forward) if v == vc else _ZERO)
    x, y = v_u / z, v_v / z
    depth = first[2] - (u * v_u + v * v_v + jx * v_jx + jy * v_jy) / z
    v_mean = _mix(_ONE, _mix(x, right, y, down), depth, forward)
    v_right, v_down = _mix(x, mean, jx, v_p0), _mix(y, mean, jy, v_p1)
    v_forward = _mix(depth, mean, -_ONE, _mix(jx * uc, v_p0, jy * vc, v_p1))
    return v_mean, v_m, (v_right, v_down, v_forward), (x, y, depth)


@_inlined
def _axes_grad(quat: Any, scale: Vector, v_m: Any) -> tuple[Any, Vector]:
    """Carry the gradient of M = R diag(s) to the unnormalised quaternion and the scales."""
    r0, r1, r2, (w, x, y, z), inverse = _axes(quat)
    c0, c1, c2 = v_m
    # Columns of dL/dR, then its antisymmetric and symmetric parts and twice its diagonal.
    n0, n1, n2 = _times(scale[0], c0), _times(scale[1], c1), _times(scale[2], c2)
    tx, ty, tz = n1[2] - n2[1], n2[0] - n0[2], n0[1] - n1[0]
    xy, xz, yz = n0[1] + n1[0], n0[2] + n2[0], n1[2] + n2[1]
    xx, yy, zz = _TWO * n0[0], _TWO * n1[1], _TWO * n2[2]
    gw = _TWO * (x * tx + y * ty + z * tz)
    gx = _TWO * (w * tx + y * xy + z * xz - x * (yy + zz))
    gy = _TWO * (w * ty + x * xy + z * yz - y * (xx + zz))
    gz = _TWO * (w * tz + x * xz + y * yz - z * (xx + yy))
    # Only the part across q: the length of q does not matter.
    along = gw * w + gx * x + gy * y + gz * z
    gw, gx, gy, gz = gw - along * w, gx - along * x, gy - along * y, gz - along * z
    v_quat = (gw * inverse, gx * inverse, gy * inverse, gz * inverse)
    return v_quat, (_dot(c0, r0), _dot(c1, r1), _dot(c2, r2))


@_kernel
def project_grad(
    low: Int,
    high: Int,
    scene: Scene,
    screen: Screen,
    lists: Lists,
    sums: Array,
    grads: Gradients,
) -> None:
    """Gradients of chunks of Gaussians over all views; the only writer of its rows."""
    means, quats, scales, records = scene.means, scene.quats, scene.scales, screen.records
    n, chunks, across = len(means), chunks_per_view(scene), _across(scene)
    t = np.empty(SUMS, np.float32)
    for task in range(low, high):
        first, last = task * CHUNK, min(task * CHUNK + CHUNK, n)
        v_axes = np.zeros((3 * CHUNK, 3), np.float32)  # columns of dL/dM, over all views
        seen = np.zeros(CHUNK, np.bool_)
        for view in range(len(scene.views)):
            pose, lens = _pose(scene.views, view), _lens(scene, view)
            v_view = grads.views[task, view]
            palette = grads.colors[view if len(grads.colors) > 1 else 0]
            cursor = lists.cursors[view * chunks + task].copy()
            start, stop = _slots(scene, screen, view * chunks + task)
            for slot in range(start, stop):
                i = screen.ids[slot]
                _add_entries(screen.rects, slot, across, cursor, sums, t)
                v_mean, v_m, v_rotation, v_translation = _project_one_grad(
                    _vector(means, i),
                    _scaled_axes(_quaternion(quats, i), _vector(scales, i)),
                    records[slot, Z],
                    (records[slot, A], records[slot, B], records[slot, D]),
                    (t[1], t[2], t[9]),
                    (t[3], t[4], t[5]),
                    pose,
                    lens,
                )
                seen[i - first] = True
                _add(grads.means, i, v_mean)
                _add(palette, i, (t[6], t[7], t[8]))
                grads.opacities[i] -= t[0] / records[slot, OPACITY]
                for k in range(3):
                    _add(v_axes, 3 * (i - first) + k, v_m[k])
                    _add(v_view, k, v_rotation[k])
                    v_view[k, 3] += v_translation[k]
        for i in range(first, last):
            if not seen[i - first]:  # its quaternion may be NaN
                continue
            k = 3 * (i - first)
            v_m = _vector(v_axes, k), _vector(v_axes, k + 1), _vector(v_axes, k + 2)
            v_quat, v_scale = _axes_grad(_quaternion(quats, i), _vector(scales, i), v_m)
            _add(grads.scales, i, v_scale)
            for k in range(4):
                grads.quats[i, k] = v_quat[k]
