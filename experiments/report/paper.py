"""Tables 1 and 2 of the paper: the figures of the study beside the figures of the paper."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import yaml

from custom_components.losses import DistillationLoss
from custom_components.losses.presets import PRESETS, default_preset
from custom_components.run_identity import flat, setting_differences
from custom_components.run_settings import may_differ
from experiments.report.comparison import compare, only_teacher, share_cases
from experiments.report.run_record import RunRecord
from experiments.report.study import Model, StudyRecord
from reporting.table import NOTHING, Line, Table

# Volume Dice in percent.
TEACHERS = {"deeplabv3plus": 89.01, "fcn_resnet101": 90.0, "pspnet": 86.3, "resnext101": 85.02}
BASELINES = {"enet": 80.03, "espnet": 75.2, "mobilenetv2": 78.4}
ONE_TEACHER = {
    "enet": {"deeplabv3plus": 84.6, "fcn_resnet101": 85.9, "pspnet": 84.2, "resnext101": 83.7},
    "espnet": {"deeplabv3plus": 81.9, "fcn_resnet101": 84.3, "pspnet": 81.7, "resnext101": 80.5},
    "mobilenetv2": {"deeplabv3plus": 82.3, "fcn_resnet101": 81.2, "pspnet": 85.3, "resnext101": 80.1},
}
THREE_TEACHERS = {"enet": 83.8, "espnet": 83.4, "mobilenetv2": 84.8}
LIMITED = {"deeplabv3plus", "fcn_resnet101", "pspnet"}

# A row may have these settings and still stand beside the paper's figure. They set the length and the schedule of the
# training, values that the paper does not state, and the way of computing. Any other setting makes the row another
# experiment.
NEUTRAL = (
    "train::trainer::max_epochs",
    "batch_size",
    "learning_rate",
    "lr_scheduler::*",
    "schedule",
    "augmentation",
    "augmentation_views",
    "cache_teachers",
    "precision",
    "teacher_precision",
    "val_interval",
)
# The paper does not state the loss of its teachers. For a baseline, Model.with_cross_entropy decides.
LOSS_OF_OTHERS = "loss::cross_entropy_weight"

COLUMNS = (
    "model",
    "seeds",
    "Dice %",
    "paper",
    "over alone",
    "paper",
    "over alone with cross-entropy",
    "over its teacher",
)


def paper_dice(row: RunRecord, study: StudyRecord) -> float | None:
    """The Dice (%) that the paper gives for the same training as a row's; None where the paper has no such training."""
    if not _as_in_the_paper(row):
        return None
    teachers = study.teachers_of(row)
    if row.role == "teacher":
        return TEACHERS.get(row.network) if not row.sites else None
    if row.role == "baseline":
        return BASELINES.get(row.network) if not Model([row]).with_cross_entropy else None
    if len(teachers) == 1 and not teachers[0].sites:
        return ONE_TEACHER.get(row.network, {}).get(teachers[0].network)
    if {teacher.network for teacher in teachers} == LIMITED and all(teacher.sites for teacher in teachers):
        return THREE_TEACHERS.get(row.network)
    return None


def _as_in_the_paper(row: RunRecord) -> bool:
    """Whether all settings of a row leave it comparable with the paper's experiment."""
    if _answers_move(row.settings):
        return False
    special = {key for key in row.settings if not may_differ(key) and not any(fnmatchcase(key, own) for own in NEUTRAL)}
    if row.role != "student":
        return special <= {LOSS_OF_OTHERS}
    return all(key.startswith("loss::") for key in special) and _is_a_preset(row.settings, len(row.teachers))


def _is_a_preset(settings: Mapping[str, Any], teachers: int) -> bool:
    """Whether a student's loss is an unchanged preset; another alpha, beta or weighting changes it.

    The paper's weights do not fall over the training, so the preset ``annealed`` does not count.
    """
    own = flat(DistillationLoss(**_loss_options(settings, teachers)).options)
    return any(not setting_differences(flat(PRESETS[name]), own) for name in PRESETS.keys() - {"annealed"})


def _answers_move(settings: Mapping[str, Any]) -> bool:
    """Whether the teachers' answers move with random versions of the slices; then no term compares features."""
    changing = settings.get("augmentation") != 0 and not settings.get("augmentation_views")
    return bool(settings.get("cache_teachers")) and changing


def _loss_options(settings: Mapping[str, Any], teachers: int) -> dict[str, Any]:
    """The arguments of the loss, from settings such as ``loss::terms::importance::weight``."""
    options: dict[str, Any] = {"preset": default_preset(bool(settings.get("unlabeled")), teachers)}
    for key, value in settings.items():
        if not key.startswith("loss::"):
            continue
        _, *parents, last = key.split("::")
        place = options
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value) if isinstance(value, str) else value  # as the command line reads it
    return options


def table_1(study: StudyRecord) -> Table:
    """The teachers trained on all sites, and each student network trained alone and from one teacher."""
    return _table(study, limited=False)


def table_2(study: StudyRecord) -> Table:
    """The teachers trained on some sites, and each student network trained alone and from several teachers."""
    return _table(study, limited=True)


def _table(study: StudyRecord, limited: bool) -> Table:
    """Table 1 or, with ``limited``, table 2; empty when the study has no student for it."""
    students = [model for model in study.models("student") if (len(model.rows[0].teachers) > 1) == limited]
    if not students:
        return Table(COLUMNS, [])
    teachers = [model for model in study.models("teacher") if bool(model.rows[0].sites) == limited]
    lines = [Line(_cells(model, study, []), "teacher") for model in teachers]
    for network in dict.fromkeys(model.network for model in students):
        baselines = [model for model in study.models("baseline") if model.network == network]
        lines += [Line(_cells(model, study, []), "baseline") for model in baselines]
        own = [model for model in students if model.network == network]
        lines += [Line(_cells(model, study, baselines), "student") for model in own]
    return Table(COLUMNS, lines)


def _cells(model: Model, study: StudyRecord, baselines: list[Model]) -> list[str]:
    printed = paper_dice(model.rows[0], study)
    alone = [one for one in baselines if not one.with_cross_entropy and _as_in_the_paper(one.rows[0])]
    fair = [baseline for baseline in baselines if baseline.with_cross_entropy]
    gain = printed - BASELINES[model.network] if printed is not None and baselines else None
    return [
        model.label,
        str(len(model.rows)),
        _dice(model),
        f"{printed:.1f}" if printed is not None else NOTHING,
        _gain(model, alone),
        f"{gain:+.1f}" if gain is not None else NOTHING,
        _gain(model, fair),
        _gain(model, only_teacher(model, study)),
    ]


def _dice(model: Model) -> str:
    """The mean Dice over the seeds; the lowest and the highest seed follow in brackets."""
    seeds = [100 * dice for dice in model.dice_by_seed]
    mean = f"{sum(seeds) / len(seeds):.1f}"
    return f"{mean} ({min(seeds):.1f} to {max(seeds):.1f})" if len(seeds) > 1 else mean


def _gain(model: Model, others: list[Model]) -> str:
    """The difference to the first of the other models, or a dash without such a model."""
    others = [other for other in others if share_cases(model, other)]
    if not others:
        return NOTHING
    found = compare(model, others[0])
    return f"{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"
