"""Answers for a plain slice, moved as the slice's random version was moved."""

from torch import Tensor

from custom_components.data import RandomTransforms
from custom_components.losses.term import Answer
from custom_components.teachers.teachers import Batch

# The least probability. It must not be 0, because its logarithm becomes a logit. Predictions in half precision hold
# smaller values only coarsely.
LEAST = 1e-6


def moved_answer(probs: Tensor, transform: RandomTransforms | None, batch: Batch) -> Answer:
    """The answer for the random versions of slices, from the probabilities for the slices themselves.

    Contrast and noise do not move a voxel, so they do not change the answer. An answer that was made in this way has no
    features.

    Args:
        probs: (B, C, H, W), on the batch's device.
        transform: the transforms that made the batch's images; None if the images are the slices themselves.
        batch: the batch; if its samples have no ``seed``, its images are the slices themselves.
    """
    if transform is not None and "seed" in batch.sample:
        probs = transform.move(probs, batch.sample["seed"].tolist())
    return Answer(probs.clamp(min=LEAST).log())
