"""The graph of ``student.onnx``: all steps from a raw volume to its mask, as ONNX operations around the network.

It computes what MONAI's transforms of ``bundles/_base`` compute. Every resampling in a slice's plane is linear and
separable, so it is two matrix products: one for the rows, one for the columns. The graph builds the
matrices from the volume's size, so it takes volumes of any size. The slices go through the network one by one, in a
Scan, so that the network's layers need the memory of one slice only.

The functions below are ONNX in the notation of onnxscript; ``op`` is the standard operator set.
"""

from onnxscript import DOUBLE, FLOAT, INT64, UINT8, graph, script
from onnxscript import opset20 as op
from onnxscript.values import Opset

OWN = Opset("prostate", 1)
# A node of this domain stands for the network, until the exported network takes its place.
NETWORK = Opset("network", 1)

# A volume, a slice of it, its mask, and a slice at the network's size.
VOLUME, IMAGE, MASK, PREPARED = FLOAT["H", "W", "D"], FLOAT["H", "W"], UINT8["H", "W"], FLOAT["h", "w"]


@script(OWN, default_opset=op)
def interpolation(places, first, count):
    """The matrix (places, count) that interpolates samples linearly at ``places``. Its columns stand for the samples
    ``first``, ``first`` + 1 and so on.
    """
    samples = op.CastLike(op.Range(first, first + count, 1), places)
    return op.Cast(op.Relu(1.0 - op.Abs(op.Unsqueeze(places, [1]) - samples)), to=1)


@script(OWN, default_opset=op)
def resizing(before, after):
    """The matrix (after, before) of torch's ``interpolate`` with ``align_corners=False``."""
    scale = op.Cast(before, to=1) / op.Cast(after, to=1)
    places = scale * (op.Cast(op.Range(0, after, 1), to=1) + 0.5) - 0.5
    last = op.Cast(before - 1, to=1)
    return interpolation(op.Clip(places, 0.0, last), 0, before)


@script(OWN, default_opset=op)
def smoothing(length, sigma):
    """The matrix (length, length) of MONAI's ``GaussianFilter``. Its entries are the Gaussian's integrals over a pixel.
    They are cut off at four sigma and not normalised. If sigma is 0, the matrix is the identity.
    """
    pixels = op.Cast(op.Range(0, length, 1), to=1)
    distance = op.Unsqueeze(pixels, [1]) - pixels
    scale = 0.70710678 / op.Max(sigma, 1e-6)
    weights = op.Relu(0.5 * (op.Erf(scale * (distance + 0.5)) - op.Erf(scale * (distance - 0.5))))
    reach = op.Floor(op.Max(4.0 * sigma, 0.5) + 0.5)
    return op.Where(op.Abs(distance) <= reach, weights, 0.0)


@script(OWN, default_opset=op)
def shrinking(before, after):
    """The matrix (after, before) of MONAI's anti-aliased ``Resize``. If ``after`` is larger, it does not smooth."""
    factor = op.Cast(before, to=1) / op.Cast(after, to=1)
    return op.MatMul(resizing(before, after), smoothing(before, op.Relu((factor - 1.0) / 2.0)))


@script(OWN, default_opset=op)
def whole_image(length, size):
    """The matrices of one axis of a whole image: (size, length) to the network, (length, size) back."""
    return shrinking(length, size), resizing(size, length)


@script(OWN, default_opset=op)
def grid_of(edge, beside, length, half_pixel):
    """One axis of the grid of MONAI's ``Spacing``: the voxel's size in its pixels, and its number of pixels.

    ``edge`` is the voxel's size in mm. ``beside`` is the length in mm that the other two axes add along this one, over
    the whole volume, if they are not exactly at right angles to it. It is nearly 0, but it decides how a length that
    ends in half a pixel is rounded.
    """
    # If the voxel's size is this near to the wanted one, MONAI keeps the voxel's size.
    near = op.Abs(edge - half_pixel) <= op.Cast(1.0, to=11) / op.Cast(1000.0, to=11)
    pixel = op.Where(near, edge, half_pixel)
    last = op.Cast(length - 1, to=11)
    return edge / pixel, op.Cast(op.Round((last * edge + beside) / pixel + 1.0), to=7)


@script(OWN, default_opset=op)
def window(length, ratio, count, is_upright, size):
    """The matrices of one axis, to the window in the image's middle and back. The first computes MONAI's ``Spacing`` to
    a grid of half pixels, ``ResizeWithPadOrCrop`` and ``Resize``. The third result holds the factor and the offset
    that turn a voxel's index into its place in the window, in pixels.

    ``ratio`` and ``count`` are the results of :func:`grid_of`. The grid of an upright volume begins at its first voxel;
    MONAI puts any other grid over the middle of the volume.
    """
    double_size = 2 * size
    voxels, pixels = op.Cast(length, to=11), op.Cast(count, to=11)
    shift = op.Where(is_upright, op.Cast(0.0, to=11), (pixels - voxels * ratio) / 2.0)
    half_rounded_up = op.Div(count + 1, 2)
    first = op.Where(count > double_size, op.Div(count, 2), half_rounded_up) - size

    places = op.Cast(op.Range(first, first + double_size, 1), to=11)
    inside = op.And(places >= 0.0, places < pixels)
    in_volume = op.Clip((places - shift) / ratio, op.Cast(0.0, to=11), voxels - 1.0)
    matrix = interpolation(in_volume, 0, length)
    to_window = op.Where(op.Unsqueeze(inside, [1]), matrix, 0.0)

    in_grid = op.Cast(op.Range(0, length, 1), to=11) * ratio + shift
    from_window = interpolation(op.Clip(in_grid, op.Cast(0.0, to=11), pixels - 1.0), first, double_size)
    step = op.Reshape(ratio / 2.0, [1])
    offset = op.Reshape((shift + 0.5 - op.Cast(first, to=11)) / 2.0 - 0.5, [1])
    return (
        op.MatMul(shrinking(double_size, size), to_window),
        op.MatMul(from_window, resizing(size, double_size)),
        op.Concat(step, offset, axis=0),
    )


@script(OWN, default_opset=op)
def limits(values):
    """The 1st and the 99th percentile of a list of values, interpolated linearly."""
    count = op.Size(values)
    place = op.Cast(count - 1, to=11) / op.Cast(100.0, to=11)
    below = op.Floor(place)
    share = op.Cast(place - below, to=1)
    index = op.Cast(below, to=7)
    next_index = op.Min(index + 1, count - 1)
    kept = op.Reshape(next_index + 1, [1])
    smallest, _ = op.TopK(values, kept, largest=0)
    largest, _ = op.TopK(values, kept, largest=1)
    low = (1.0 - share) * op.Gather(smallest, index) + share * op.Gather(smallest, next_index)
    high = (1.0 - share) * op.Gather(largest, index) + share * op.Gather(largest, next_index)
    return low, high


@script(OWN, default_opset=op)
def scaled(values, low, high):
    """Values clipped at the limits and scaled to 0 to 1; values that are all equal become 0."""
    clipped = op.Clip((values - low) / (high - low), 0.0, 1.0)
    return op.Where(high > low, clipped, values - low)


@script(OWN, default_opset=op)
def segmented(volume, to_rows, to_columns, from_rows, from_columns):
    """Mask and probability of a volume (H, W, D), with the matrices from and to its grid."""
    columns_to_size = op.Transpose(to_columns, perm=[1, 0])
    columns_from_size = op.Transpose(from_columns, perm=[1, 0])

    @graph()
    def resized(image: IMAGE) -> PREPARED:
        small = op.MatMul(op.MatMul(to_rows, image), columns_to_size)
        return small

    # onnxscript does not know the types of a Scan's results or of the network's result. A cast from float to float
    # states the type.
    slices = op.Cast(op.Scan(volume, body=resized, num_scan_inputs=1, scan_input_axes=[2]), to=1)
    low, high = limits(op.Reshape(slices, [-1]))

    @graph()
    def mean_of_slice(image: PREPARED) -> FLOAT:
        mean = op.ReduceMean(scaled(image, low, high), keepdims=0)
        return mean

    means = op.Cast(op.Scan(slices, body=mean_of_slice, num_scan_inputs=1), to=1)
    mean = op.ReduceMean(means, keepdims=0)

    @graph()
    def variance_of_slice(image: PREPARED) -> FLOAT:
        distance = scaled(image, low, high) - mean
        variance = op.ReduceMean(distance * distance, keepdims=0)
        return variance

    variances = op.Cast(op.Scan(slices, body=variance_of_slice, num_scan_inputs=1), to=1)
    deviation = op.Sqrt(op.ReduceMean(variances, keepdims=0))
    divisor = op.Where(deviation > 0.0, deviation, 1.0)
    # 1 inside the window, 0 outside.
    seen = op.MatMul(
        op.ReduceSum(from_rows, [1], keepdims=1), op.Transpose(op.ReduceSum(from_columns, [1], keepdims=1))
    )

    @graph()
    def segmented_slice(image: PREPARED) -> tuple[MASK, IMAGE]:
        normalised = (scaled(image, low, high) - mean) / divisor
        logits = op.Cast(NETWORK.Network(op.Unsqueeze(normalised, [0, 1])), to=1)
        background, prostate = op.Split(op.Squeeze(logits, [0]), num_outputs=2, axis=0)
        # The difference of the two probabilities.
        lead = op.Tanh((op.Squeeze(prostate, [0]) - op.Squeeze(background, [0])) / 2.0)
        on_grid = op.MatMul(op.MatMul(from_rows, lead), columns_from_size)
        mask = op.Cast(on_grid > 0.0, to=2)
        probability = (on_grid + seen) / 2.0
        return mask, probability

    mask, probability = op.Scan(slices, body=segmented_slice, num_scan_inputs=1, scan_output_axes=[2, 2])
    return mask, probability


@script(default_opset=op)
def whole_images(volume: VOLUME, image_size: INT64):
    """The graph of a bundle that sees whole images."""
    to_rows, from_rows = whole_image(op.Squeeze(op.Shape(volume, start=0, end=1)), image_size)
    to_columns, from_columns = whole_image(op.Squeeze(op.Shape(volume, start=1, end=2)), image_size)
    mask, probability = segmented(volume, to_rows, to_columns, from_rows, from_columns)
    return mask, probability


@script(default_opset=op)
def windows(volume: VOLUME, affine: DOUBLE[4, 4], image_size: INT64, field_of_view: DOUBLE):
    """The graph of a bundle that sees the window in the image's middle."""
    height, width, depth = op.Split(op.Shape(volume), num_outputs=3)
    height, width = op.Squeeze(height), op.Squeeze(width)
    column_steps, slice_steps = op.Cast(width - 1, to=11), op.Cast(op.Squeeze(depth) - 1, to=11)
    # The columns of ``edges`` are the voxel's edges. From their products follow the entries of an upper triangular
    # matrix; ``edges`` is a rotation times this matrix. The entries are named by row and column (r, c, s).
    edges = op.Slice(affine, [0, 0], [3, 3])
    products = op.MatMul(op.Transpose(edges, perm=[1, 0]), edges)
    rr = op.Sqrt(op.GatherND(products, [0, 0]))
    rc = op.GatherND(products, [0, 1]) / rr
    rs = op.GatherND(products, [0, 2]) / rr
    column_edge = op.Sqrt(op.GatherND(products, [1, 1]))
    cc = op.Sqrt(op.GatherND(products, [1, 1]) - rc * rc)
    cs = (op.GatherND(products, [1, 2]) - rc * rs) / cc

    half_pixel = field_of_view / op.Cast(2 * image_size, to=11)
    row_ratio, rows = grid_of(rr, op.Abs(rc) * column_steps + op.Abs(rs) * slice_steps, height, half_pixel)
    column_ratio, columns = grid_of(
        column_edge, (cc - column_edge) * column_steps + op.Abs(cs) * slice_steps, width, half_pixel
    )
    # MONAI treats a volume as upright if its first voxel lies in a corner of the grid, within 1e-8 pixels.
    lowest = op.Min(op.Min(rc * column_steps, rs * slice_steps) / half_pixel, cs * slice_steps / half_pixel)
    is_upright = lowest >= op.Cast(-1.0, to=11) / op.Cast(1e8, to=11)

    to_rows, from_rows, row_window = window(height, row_ratio, rows, is_upright, image_size)
    to_columns, from_columns, column_window = window(width, column_ratio, columns, is_upright, image_size)
    mask, probability = segmented(volume, to_rows, to_columns, from_rows, from_columns)
    to_window = op.Concat(op.Unsqueeze(row_window, [0]), op.Unsqueeze(column_window, [0]), axis=0)
    return mask, probability, to_window
