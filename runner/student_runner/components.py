"""The largest component of a mask, computed from runs: stretches of voxels along one axis.

A mask has far fewer runs than voxels, and all steps work on whole arrays, so that numpy alone is fast enough.
"""

import numpy as np

# The steps (planes, rows) from a line of voxels to the later lines that touch it at faces, edges or corners.
LATER_LINES = ((0, 1), (1, -1), (1, 0), (1, 1))


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Keep the component with the most voxels, as MONAI's ``KeepLargestConnectedComponent``.

    Two voxels belong together if they touch at faces, edges or corners. If two components have the same size, the
    function keeps the one whose first voxel comes later in the order of the array.

    Args:
        mask: (H, W, D), with the values 0 and 1.

    Returns:
        The mask (H, W, D) of this component, uint8, with the values 0 and 1.

    >>> largest_component(np.array([[[1, 1, 0, 1]]])).tolist()
    [[[1, 1, 0, 0]]]
    """
    if not mask.any():
        return np.zeros(mask.shape, np.uint8)
    planes = mask.astype(bool).transpose(2, 0, 1)  # (D, H, W), with the runs along W
    lines, starts, ends = _runs(planes)
    labels = _joined(len(lines), _touching(lines, starts, ends, planes.shape))
    sizes = np.bincount(labels, ends - starts)
    plane, row = np.divmod(lines, planes.shape[1])
    places = (row * planes.shape[2] + starts) * planes.shape[0] + plane
    first_places = np.full(len(sizes), mask.size)
    np.minimum.at(first_places, labels, places)
    largest = np.flatnonzero(sizes == sizes.max())
    kept = labels == largest[first_places[largest].argmax()]
    return _filled(lines[kept], starts[kept], ends[kept], planes.shape).transpose(1, 2, 0)


def _runs(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The line, the start and the end of each run, sorted; the end is the first voxel after the run."""
    width = planes.shape[2]
    padded = np.pad(planes.reshape(-1, width), ((0, 0), (1, 1))).view(np.int8)
    steps = np.diff(padded, axis=1).ravel()
    lines, starts = np.divmod(np.flatnonzero(steps == 1).astype(np.int32), width + 1)
    ends = np.flatnonzero(steps == -1).astype(np.int32) % (width + 1)
    return lines, starts, ends


def _touching(
    lines: np.ndarray, starts: np.ndarray, ends: np.ndarray, shape: tuple[int, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pairs of runs that touch, for each of ``LATER_LINES``: the indices of the first and of the second runs."""
    depth, height, width = shape
    plane, row = np.divmod(lines, height)
    # How many runs start, or end, before each place. One line has width + 2 places.
    stride = width + 2
    started = _counts_before(lines * stride + starts, depth * height * stride)
    ended = _counts_before(lines * stride + ends, depth * height * stride)
    pairs = []
    for planes_on, rows_on in LATER_LINES:
        inside = (plane + planes_on < depth) & (row + rows_on >= 0) & (row + rows_on < height)
        runs = np.flatnonzero(inside).astype(np.int32)
        line = lines[runs] + planes_on * height + rows_on
        first = ended[line * stride + starts[runs]]
        counts = started[line * stride + ends[runs] + 1] - first
        # for each run the numbers first, first + 1 and so on
        others = np.arange(counts.sum(), dtype=np.int32)
        others += np.repeat(first + counts - np.cumsum(counts, dtype=np.int32), counts)
        pairs.append((np.repeat(runs, counts), others))
    return pairs


def _counts_before(places: np.ndarray, length: int) -> np.ndarray:
    """For each place up to ``length``, the number of ``places`` before it."""
    marks = np.zeros(length + 1, np.int32)
    marks[places + 1] = 1
    return np.cumsum(marks, dtype=np.int32)


def _joined(count: int, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """A label for each run; runs that are joined by pairs have the same label."""
    labels = np.arange(count, dtype=np.int32)
    while True:
        before = labels.copy()
        for ones, others in pairs:
            mine, theirs = before[ones], before[others]
            low = np.minimum(mine, theirs)
            # A label is the index of a run. That run gets the lower label, and the loop below passes it on to all runs
            # with this label.
            np.minimum.at(labels, mine, low)
            np.minimum.at(labels, theirs, low)
        while not np.array_equal(labels, further := labels[labels]):
            labels = further
        if np.array_equal(labels, before):
            return labels


def _filled(lines: np.ndarray, starts: np.ndarray, ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    depth, height, width = shape
    steps = np.zeros((depth * height, width + 1), np.int8)
    steps[lines, starts] = 1
    steps[lines, ends] -= 1
    return np.cumsum(steps[:, :-1], axis=1, dtype=np.int8).astype(np.uint8).reshape(shape)
