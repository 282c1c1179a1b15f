"""The frozen teachers of a distillation, as one module."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose
from monai.utils import ensure_tuple
from torch import Tensor, nn

from custom_components.bundle import Bundle
from custom_components.data import SliceDataset
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import sha256_of
from custom_components.losses.term import Answer, Output
from custom_components.precision import DTYPES, check_precision
from custom_components.teachers.adapting import adapt_teacher
from custom_components.teachers.batch_norm import has_batch_norm
from custom_components.teachers.kinds import bundles_among
from custom_components.teachers.load import Teacher, load_teacher
from custom_components.teachers.teachers import Batch, Summarise, Teachers


class TeacherEnsemble(Teachers):
    """Runs frozen teachers on the student's input.

    The ensemble stays in evaluation mode, also after a call of :meth:`train`. It gives no gradient, and it is not part
    of an optimizer, ``DistributedDataParallel`` or a checkpoint.

    Args:
        teachers: one teacher or more.
        keys: the keys of the taps, in the order of the student's taps.
        precision: precision of the weights and the forward pass, ``"float32"``, ``"bfloat16"`` or ``"float16"``; the
            outputs are always float32.

    Raises:
        InputError: if there is no teacher, if a teacher has taps but lacks one of them, or if the precision is unknown.
    """

    def __init__(self, teachers: Sequence[Teacher], keys: Sequence[str], precision: str = "float32") -> None:
        super().__init__()
        require_one(teachers)
        for teacher in teachers:
            require_taps(teacher.bundle, keys)
        self.names = unique_names([teacher.name for teacher in teachers])
        self.weights_sha256 = [teacher.weights_sha256 for teacher in teachers]
        self.identities = [teacher.identity for teacher in teachers]
        self.trained_on = [teacher.trained_on for teacher in teachers]
        self.distances = [teacher.distance for teacher in teachers]
        self.networks = nn.ModuleList(teacher.network for teacher in teachers)
        self._taps = [teacher.taps for teacher in teachers]
        self._keys = tuple(keys)
        check_precision("teacher_precision", precision, DTYPES)
        self.dtype = DTYPES[precision]
        # Everything that each teacher's outputs depend on, except the image.
        self.fingerprints = [sha256_of([identity, list(keys), precision]) for identity in self.identities]
        self.to(dtype=self.dtype, memory_format=torch.channels_last).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "TeacherEnsemble":
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Logits (B, C, H, W) of each teacher, and its tapped features (B, K, h, w) in the order of the keys: float32.
        A teacher without taps, such as an ensemble, has no features.

        Args:
            image: (B, 1, H, W).
        """
        outputs = [self.run(index, image) for index in range(len(self.names))]
        return [logits for logits, _ in outputs], [features for _, features in outputs]

    def answer(self, batch: Batch, summarise: Summarise) -> list[Answer]:
        # One teacher after the other, so that memory holds the features of one teacher at a time.
        return [summarise(Output(*self.run(place, batch.image)), batch.target) for place in range(len(self.names))]

    @torch.no_grad()
    def run(self, index: int, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C, H, W) and tapped features (B, K, h, w) of one teacher on images (B, 1, H, W)."""
        taps = self._taps[index]
        taps.arm()
        # The teachers run in their own precision, even if the student's training has another one.
        with torch.autocast(image.device.type, enabled=False):
            logits = self.networks[index](image.to(self.dtype)).float()
        return logits, [feature.float() for feature in taps.collect(self._keys if taps.keys else ())]


def load_teachers(
    teachers: str | Sequence[Any],
    bundles_dir: str | Path,
    keys: Sequence[str],
    preprocessing: Compose,
    held_out: Iterable[Mapping[str, Any]],
    out_channels: int = 2,
    precision: str = "float32",
    adapt: bool | None = None,
    dataset: SliceDataset | None = None,
    device: torch.device | str = "cpu",
) -> TeacherEnsemble | None:
    """Load and check teacher bundles with :func:`load_teacher`, and make an ensemble of them.

    Folders of predictions among the teachers are left out. The result is None if all teachers are such folders.

    Args:
        teachers: the option ``teachers``; a single name may stand instead of a list, as in ``--teachers pspnet``.
        bundles_dir, preprocessing, held_out, out_channels: as for :func:`load_teacher`.
        keys, precision: as for :class:`TeacherEnsemble`.
        adapt: whether to re-estimate the batch-norm statistics of these teachers, see :func:`adapt_teacher`. None means
            true if some training images have no mask, all are of one site, and every teacher has batch norm.
        dataset: the slices whose cases give the new statistics.
        device: the device on which the statistics are computed.

    Raises:
        InputError: as :func:`load_teacher`, :func:`adapt_teacher` and :class:`TeacherEnsemble`; or if ``adapt`` is
            true and no teacher is a bundle.
    """
    require_one(ensure_tuple(teachers))
    held_out, bundles = list(held_out), bundles_among(teachers, bundles_dir)
    loaded = [load_teacher(name, bundles_dir, preprocessing, held_out, out_channels) for name in bundles]
    if adapt and not loaded:
        raise InputError("no teacher is a bundle", "adapt_teachers", "set --adapt_teachers False")
    if adapt is None:
        adapt = dataset is not None and _is_a_new_site(dataset) and all(has_batch_norm(one.network) for one in loaded)
    for teacher in loaded if adapt else []:
        adapt_teacher(teacher, dataset.cases, device)
    return TeacherEnsemble(loaded, keys, precision) if loaded else None


def _is_a_new_site(dataset: SliceDataset) -> bool:
    """Whether some training images have no mask, and all are of one site."""
    return any(case.label is None for case in dataset.cases) and len({case.site for case in dataset.cases}) == 1


def require_one(teachers: Sequence[Any]) -> None:
    """Raises InputError if there is no teacher."""
    if not teachers:
        raise InputError("no teacher given; name at least one, e.g. --teachers \"['pspnet']\"")


def require_taps(bundle: Bundle, keys: Sequence[str]) -> None:
    """Raises InputError if the teacher's bundle has taps, but not those of the student; an ensemble has none."""
    if bundle.taps and (lacking := set(keys) - set(bundle.taps)):
        names = ", ".join(sorted(lacking))
        raise InputError(f"{bundle.path}/configs/train.json: no tap {names}, which the student has")


def unique_names(names: list[str]) -> list[str]:
    """Give teachers from folders of the same name a number, so that the logs show their weights separately."""
    return [f"{name}_{names[:i].count(name) + 1}" if names.count(name) > 1 else name for i, name in enumerate(names)]
