"""Reading of a plan's YAML file, and its adaptation to a dataset's sites."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from custom_components.foundation.errors import InputError
from experiments.new_sites import ALL_OTHERS, fold_names
from experiments.plan import DISTILLATION, ENSEMBLE, EPOCHS, PARTS, ROLES, Plan, Row
from experiments.plan_content import check_content
from experiments.plan_rows import RowReader

PLANS = Path(__file__).parent / "plans"


def load_plan(
    name_or_path: str,
    sites: Mapping[str, int],
    groups: Sequence[Sequence[str]] = (),
    seeds: Sequence[int] = (),
    image_size: int | None = None,
    epochs: int | None = None,
    leave_out: str | None = None,
    folds: int | None = None,
) -> Plan:
    """Read a plan and adapt it to a dataset.

    Args:
        name_or_path: a shipped plan's name or a YAML file.
        sites: the number of cases with masks at each site of the dataset.
        groups: site groups of the limited teachers; by default the sites, in order, are divided evenly between the
            groups. In a plan of new sites, each group has a teacher; by default each site is a group.
        seeds: seeds of the students, instead of the plan's seeds.
        image_size: size of the images in pixels, instead of the plan's size.
        epochs: number of epochs of every row, instead of the plan's numbers. In a plan of new sites, the number of the
            rows without a number of their own; the others change in proportion, so that rows with few masks keep
            about as many steps as the others.
        leave_out: a site whose cases are the test cases; no row is trained on this site. In a plan of new sites, the
            only new site.
        folds: number of the parts of a cross-validation, in place of one split.

    Raises:
        InputError: if there is no such plan, or it does not fit the dataset.
    """
    path = Path(name_or_path) if name_or_path.endswith((".yaml", ".yml")) else PLANS / f"{name_or_path}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise InputError(f"{name_or_path}: no such plan; give a YAML file or one of: {shipped}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        check_content(content, path.name)
        return _fit(content, path.name, sites, groups, seeds, image_size, epochs, leave_out, folds)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a YAML file ({str(error).splitlines()[0]})") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{path}: lacks {error}, or it is of another kind; compare {PLANS / 'demo.yaml'}") from None


def _fit(
    content: Mapping[str, Any],
    name: str,
    sites: Mapping[str, int],
    groups: Sequence[Sequence[str]],
    seeds: Sequence[int],
    image_size: int | None,
    epochs: int | None,
    leave_out: str | None,
    folds: int | None,
) -> Plan:
    parts, plan_folds = content.get("parts", 0), folds or content.get("folds", 0)
    if parts and plan_folds:
        raise InputError(f"{name}: each of its folds is a new site, so it cannot have --folds too")
    if parts:
        new_sites = _new_sites(sites, leave_out, content.get("new_sites"), name)
        leave_out = new_sites[0] if len(new_sites) == 1 else None
        if content.get("taught_by") == ALL_OTHERS and not groups:
            groups = [[site for site in _with_masks(sites) if site != new] for new in new_sites]
        teaching = _teaching_groups(sites, groups, new_sites, name)
        fold_list = fold_names(new_sites, parts)
    else:
        if alone := next((key for key in ("taught_by", "new_sites") if content.get(key)), None):
            raise InputError(f"{name}: {alone} is for a plan of new sites", advice="give parts too, or leave it out")
        groups = teaching = _limited_groups(content, sites, groups, name)
        fold_list = tuple(f"fold{one}" for one in range(1, plan_folds + 1))
    # A group without another site is removed together with its teacher.
    groups, teaching = (
        tuple(tuple(site for site in group if site != leave_out) for group in some) for some in (groups, teaching)
    )
    reader = RowReader(content, sites, teaching, tuple(seeds or content.get("seeds", [0])), epochs, fold_list, parts)
    rows = list(reader.rows())
    _check(rows, name)
    scored_on = content.get("scored_on", "test")
    if scored_on not in PARTS:
        raise InputError(f"{name}: scored_on '{scored_on}' is none of {', '.join(PARTS)}")
    if parts and scored_on != "test":
        raise InputError(f"{name}: scored_on {scored_on}: a new site has test cases only; leave it out")
    return Plan(
        title=content["title"] + (f", {leave_out} left out" if leave_out else ""),
        image_size=image_size or content["image_size"],
        field_of_view=content.get("field_of_view"),
        fractions=() if parts else tuple(content["fractions"]),
        split_seed=content.get("split_seed", 0),
        scored_on=scored_on,
        leave_out=leave_out,
        groups=tuple(group for group in groups if group),
        rows=tuple(rows),
        folds=fold_list,
        expected_spread=content.get("expected_spread"),
        parts=parts,
    )


def _limited_groups(
    content: Mapping[str, Any], sites: Mapping[str, int], groups: Sequence[Sequence[str]], plan: str
) -> Sequence[Sequence[str]]:
    """The sites of each limited teacher."""
    wanted = 1 + max((row["group"] for row in content["rows"] if "group" in row), default=-1)
    groups = groups or _spread(sorted(sites), wanted)
    if len(groups) != wanted:
        raise InputError(f"{plan} wants {wanted} groups of sites, {len(groups)} are given")
    return groups


def _teaching_groups(
    sites: Mapping[str, int], groups: Sequence[Sequence[str]], new_sites: Sequence[str], plan: str
) -> Sequence[Sequence[str]]:
    """The sites of each teacher in a study of new sites: the given groups, or each site with masks."""
    with_masks = _with_masks(sites)
    for site in (site for group in groups for site in group):
        if site not in with_masks:
            raise InputError(f"--groups {site}: no site with masks to teach; there are {', '.join(with_masks)}")
    groups = groups or [[site] for site in with_masks]
    for new in new_sites:
        # A single new site is taken out of its group; of several new sites, each loses the groups that hold it.
        if not any({*group} - {new} if len(new_sites) == 1 else new not in group for group in groups):
            raise InputError(f"{plan}: the groups leave no teacher of another site for the new site {new}")
    return groups


def _new_sites(sites: Mapping[str, int], leave_out: str | None, count: int | None, plan: str) -> list[str]:
    """The sites that are new in turn: those with masks, or the count with the most cases, or the one left out."""
    with_masks = _with_masks(sites)
    if leave_out and leave_out not in with_masks:
        raise InputError(f"--leave-out {leave_out}: no site with masks to test with; there are {', '.join(with_masks)}")
    if len(with_masks) < 2:
        raise InputError(f"{plan}: a new site needs teachers of other sites, and {len(with_masks)} site has masks")
    most = sorted(sorted(with_masks, key=lambda site: -sites[site])[:count])
    return [leave_out] if leave_out else most


def _with_masks(sites: Mapping[str, int]) -> list[str]:
    return [site for site, cases in sorted(sites.items()) if cases]


def _check(rows: Sequence[Row], plan: str) -> None:
    counts = Counter(row.name for row in rows)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise InputError(f"{plan}: more than one row is called {', '.join(twice)}; give each row and seed once")
    if DISTILLATION in counts:
        raise InputError(f"{plan}: no row can be called {DISTILLATION}, the folder of the bundle that distils")
    for row in rows:
        if row.role not in ROLES:
            raise InputError(f"{plan}: row {row.name}: role '{row.role}' is none of {', '.join(ROLES)}")
        if unknown := set(row.teachers) - set(counts):
            raise InputError(f"{plan}: row {row.name}: no row is called {', '.join(sorted(unknown))}")
        if row.role in ("student", ENSEMBLE) and not row.is_distilled:
            raise InputError(f"{plan}: row {row.name}: a row with the role {row.role} needs teachers")
        if EPOCHS not in row.settings:
            raise InputError(f"{plan}: row {row.name}: no {EPOCHS} in its settings or the plan's")
        epochs = row.settings[EPOCHS]
        if row.role != ENSEMBLE and (type(epochs) is not int or epochs < 1):
            raise InputError(f"{plan}: row {row.name}: {EPOCHS}: {epochs!r} does not fit; give at least 1")


def _spread(sites: Sequence[str], groups: int) -> tuple[tuple[str, ...], ...]:
    if len(sites) < groups:
        raise InputError(f"the plan has teachers for {groups} groups of sites, the dataset has {len(sites)} sites")
    ends = [round(len(sites) * i / groups) for i in range(groups + 1)] if groups else [0]
    return tuple(tuple(sites[a:b]) for a, b in itertools.pairwise(ends))
