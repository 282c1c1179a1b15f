"""The table that maps the channels of a folder of predictions, by name or number, to the student's classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.utils import ensure_tuple

from custom_components.foundation.errors import InputError

# The probabilities of a voxel's classes sum to 1, except for rounding in half-precision files and scaled integers.
SUM_TOLERANCE = 1e-2
RANGE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ClassMap:
    """Maps the channels of a folder to the classes of the student.

    Args:
        classes: the student's classes in their order; the first is the background.
        channels: the channels of each class, by name or by number from 0, such as ``{"prostate": [1, 2]}``. If the
            table does not name the background, the background gets the rest of the probability. If None, each class
            is the channel with the same name or, in a folder without names, with the same number.
        where: the folder, for messages.

    Raises:
        InputError: if ``channels`` is not such a table, names a class that the student does not have, lacks a class, or
            uses a channel twice.

    >>> two_zones = ClassMap(("background", "prostate"), {"prostate": ["PZ", "TZ"]}, "nnunet")
    >>> two_zones.places(["background", "PZ", "TZ"])
    {'prostate': [1, 2]}
    """

    classes: Sequence[str]
    channels: Mapping[str, Any] | None
    where: object

    def __post_init__(self) -> None:
        if self.channels is None:
            return
        if not isinstance(self.channels, Mapping):
            self._refuse(f"is {self.channels!r}, no table", self._example())
        if unknown := [name for name in self.channels if name not in self.classes]:
            self._refuse(f"the student has no class {unknown[0]}, it has {_listed(self.classes)}")
        if lacking := [name for name in self.classes[1:] if name not in self.channels]:
            self._refuse(f"says nothing of the student's class {lacking[0]}", self._example())
        wanted = self.wanted
        for channel in wanted:
            if isinstance(channel, bool) or not isinstance(channel, int | str):
                self._refuse(f"{channel!r} is neither a name nor a number of a channel", self._example())
            if wanted.count(channel) > 1:
                self._refuse(f"channel {channel} is in two places")

    @property
    def wanted(self) -> list[int | str]:
        """All channels that the table names, in its order."""
        return [channel for some in (self.channels or {}).values() for channel in ensure_tuple(some)]

    def places(self, names: Sequence[str] | None, count: int | None = None) -> dict[str, list[int]]:
        """The places of the channels of each class. The background is left out if it gets the rest of the probability.

        Args:
            names: the names of the folder's channels in their order; None if the folder does not name them.
            count: the number of channels if there are no names.

        Raises:
            InputError: if the folder has no such channels, or if the table names the background and leaves a channel
                out.
        """
        total = len(names) if names is not None else count
        if self.channels is None:
            found = list(names) if names is not None else [str(number) for number in range(total)]
            ours = list(self.classes) if names is not None else [str(number) for number in range(len(self.classes))]
            if sorted(found) != sorted(ours):
                raise InputError(
                    f"has {self._told(names, total)}, the student {_listed(self.classes)}",
                    self.where,
                    f"name the channels of each class, {self._example(names)}",
                )
            return {name: [found.index(own)] for name, own in zip(self.classes, ours, strict=True)}
        places = {
            name: [self._place(channel, names, total) for channel in ensure_tuple(some)]
            for name, some in self.channels.items()
        }
        used = [place for some in places.values() for place in some]
        if len(set(used)) < len(used):
            self._refuse("a channel is in two places, by its name and by its number")
        if self.classes[0] in places and (left := sorted(set(range(total)) - set(used))):
            told = names[left[0]] if names is not None else left[0]
            self._refuse(f"channel {told} belongs to no class", f"name it, or leave out {self.classes[0]}")
        return places

    def _place(self, channel: int | str, names: Sequence[str] | None, count: int) -> int:
        known = list(names) if names is not None else [str(number) for number in range(count)]
        if isinstance(channel, int) and 0 <= channel < len(known):
            return channel
        if str(channel) in known:
            return known.index(str(channel))
        self._refuse(f"no channel {channel} in this folder, it has {self._told(names, count)}")

    def _told(self, names: Sequence[str] | None, count: int) -> str:
        return f"the classes {_listed(names)}" if names is not None else f"{count} classes without names"

    def _example(self, names: Sequence[str] | None = None) -> str:
        inner = [name for name in names or () if name not in self.classes]
        return f"for example classes: {{{self.classes[-1]}: [{', '.join(inner) or '1, 2'}]}}"

    def _refuse(self, what: str, advice: str = "") -> None:
        raise InputError(f"classes: {what}", self.where, advice)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def class_probabilities(
    voxels: np.ndarray, places: Mapping[str, Sequence[int]], classes: Sequence[str], whole: bool, file: object
) -> np.ndarray:
    """The probabilities (H, W, D, C) of the student's classes: sums over the channels of each class.

    Args:
        voxels: (H, W, D, K) probabilities of the folder's channels.
        places: from :meth:`ClassMap.places`.
        classes: the student's classes.
        whole: whether the channels are all classes of the folder, so that they sum to 1. If not, the sum of the used
            channels must be at most 1, or 1 if the background is among them.
        file: the file, for messages.

    Raises:
        InputError: if a value is NaN or not between 0 and 1, or if the sums are wrong.
    """
    require_probabilities(voxels, file)
    used = [place for some in places.values() for place in some]
    background, *others = classes
    sums = voxels.sum(axis=-1) if whole else voxels[..., used].sum(axis=-1)
    is_left = not whole and background not in places
    if (sums > 1 + SUM_TOLERANCE).any() or (not is_left and (sums < 1 - SUM_TOLERANCE).any()):
        told = f"has classes that sum to {sums.min():.4g} to {sums.max():.4g}"
        raise InputError(f"{told}, not to {'at most ' if is_left else ''}1", file, "write its probabilities again")
    made = {name: voxels[..., list(places[name])].sum(axis=-1) for name in classes if name in places}
    left = 1 - sum(made[name] for name in others)
    return np.stack([made.get(background, left), *(made[name] for name in others)], axis=-1)


def require_probabilities(voxels: np.ndarray, file: object) -> None:
    """Refuse values that are not probabilities.

    Raises:
        InputError: if a value is not finite, or not between 0 and 1.
    """
    least, most = voxels.min(), voxels.max()
    if not np.isfinite(least + most):
        raise InputError("holds values that are NaN or infinite", file, "write its probabilities again")
    if least < -RANGE_TOLERANCE or most > 1 + RANGE_TOLERANCE:
        told = f"holds values from {least:.4g} to {most:.4g}, probabilities lie between 0 and 1"
        raise InputError(told, file, "write probabilities (after the softmax), not logits or labels")
