"""The sections of the HTML page: which model to deploy, how good it is at each site, where it fails, all results."""

from collections.abc import Sequence

import numpy as np

from experiments.report.bootstrap import Estimate
from experiments.report.deployment import Choice, candidates, choices, mean_dice, ranked_candidates
from experiments.report.differences import student_differences
from experiments.report.failures import case_table, worst_first, worst_pictures
from experiments.report.network_costs import cpu_time
from experiments.report.scores import count
from experiments.report.study import Model, StudyRecord
from experiments.report.verdict import answer, cost, lead, missed, named, parameters, quoted
from reporting.blocks import Block, Facts, Folded, Headline, Note, Section
from reporting.table import NOTHING, Line, Table

TENTH = 10  # with fewer cases no tenth of them is a whole case


def page_sections(study: StudyRecord, results: Sequence[Section]) -> list[Section]:
    """The answers, and below them the sections of results, which a reader unfolds.

    Args:
        study: the study.
        results: the sections that the Markdown page has, too.
    """
    folded = [Folded(section.title, section.blocks) for section in results]
    if differences := student_differences(study):
        folded.insert(1, Folded("Students and their baselines", differences))
    return [*answer_sections(study), Section("All results", folded)]


def answer_sections(study: StudyRecord) -> list[Section]:
    """The three sections of answers; only the first one when no candidate has scores."""
    found = choices(study)
    if not found:
        return [Section("Which student should I deploy?", [_no_answer(study)])]
    models: list[Model] = []
    for choice in found:
        models += [] if choice.best in models else [choice.best]
    return [
        Section("Which student should I deploy?", _which(found, models, study)),
        Section("How good is it on my site?", _how_good(models, study)),
        Section("Where does it fail?", _where(models, study)),
    ]


def _no_answer(study: StudyRecord) -> Headline:
    if waiting := _without_scores(study):
        return Headline("There is no answer yet.", f"These models have no scores so far: {named(waiting)}.")
    return Headline("This study has nothing to deploy.", "It has no student and no network trained alone.")


def _which(found: list[Choice], models: list[Model], study: StudyRecord) -> list[Block]:
    blocks: list[Block] = [answer(choice, study) for choice in found]
    blocks.append(Facts({model.label: cost(model) for model in models}))
    blocks.append(Note(_rule(study)))
    if waiting := _without_scores(study):
        blocks.append(Note(f"Not run so far, so the answer can change: {', '.join(waiting)}."))
    blocks.append(Folded("All candidates", [_candidate_table(found, study), Note(_how_to_read(study))]))
    return blocks


def _rule(study: StudyRecord) -> str:
    rule = (
        "The rule: of the distilled students and the networks trained alone, the one with the highest mean Dice "
        f"{'over the sites' if study.has_new_sites else 'over the cases'}. The best of several models was chosen on "
        "these same cases, so expect a little less on new ones."
    )
    if study.has_new_sites:
        rule += " A site with some masks can also use a model that needs fewer."
    if study.settings["scored_on"] == "validation":
        rule += " These are validation cases: use them to choose settings, not to promise a score."
    return rule


def _how_to_read(study: StudyRecord) -> str:
    text = (
        "Dice is the mean over the seeds. The lead is the paired difference of the first model to a row's model, with "
        "its 95 % bootstrap interval over the cases. “a slice” is the time of one slice of 1x384x384 on a CPU. "
        "Teachers are no candidates, because the students replace them."
    )
    if study.has_new_sites:
        text += " The lines of a number of masks hold every model that needs at most these masks."
    found, ranked = candidates(study), ranked_candidates(study)
    everything = max(len(model.cases) for model in found)
    partly = [
        f"{quoted(model.label)} ({len(model.cases)} of {everything} cases)" for model in found if model not in ranked
    ]
    return text + (f" Not compared, because scored on fewer cases: {', '.join(partly)}." if partly else "")


def _without_scores(study: StudyRecord) -> list[str]:
    scored = {(model.network, model.label) for model in candidates(study)}
    planned = dict.fromkeys((row.network, row.label) for row in study.rows if row.role in ("student", "baseline"))
    return [quoted(label) for network, label in planned if (network, label) not in scored]


def _candidate_table(found: list[Choice], study: StudyRecord) -> Table:
    masks = ["site's masks"] if study.has_new_sites else []
    lines = []
    for choice in found:
        leads = [(choice.best, NOTHING), *((rival.model, lead(rival)) for rival in choice.rivals)]
        for model, ahead in leads:
            role = model.rows[0].role
            figures = [
                _percent(mean_dice(model, study)),
                ahead,
                f"{len(missed(model))} of {len(model.cases)}",
                count(parameters(model)),
                cpu_time(model.network),
            ]
            lines.append(Line([model.label, role, *([str(choice.masks)] if masks else []), *figures], role))
    columns = ["model", "role", *masks, "Dice % (95 % interval)", "lead of the first", "missed", "params", "a slice"]
    return Table(columns, lines, texts=2 + len(masks))


def _how_good(models: list[Model], study: StudyRecord) -> list[Block]:
    sites = sorted({site for model in models for site in model.cases.values()})
    blocks: list[Block] = []
    if len(sites) > 1:
        first, *others = [_extremes(model, sites, study) for model in models]
        blocks.append(Headline(first, " ".join(others)))
    lines = [_site_line(site, model, study) for site in sites for model in models]
    if len(sites) > 1:
        lines += [_site_line(None, model, study) for model in models]
    columns = ["site", "model", "cases", "Dice % (95 % interval)", "lowest", "HD95 mm", "missed"]
    note = (
        "The interval is a bootstrap interval over the site's cases; of few cases it is too narrow. “lowest” is the "
        "Dice of the site's worst case. "
    )
    note += (
        "Each site was new to the teachers, so these figures are those that a new site gets."
        if study.has_new_sites
        else "A site that is not listed can score lower: look at some of its cases before you rely on a figure."
    )
    return [*blocks, Table(columns, lines, texts=2), Note(note)]


def _extremes(model: Model, sites: list[str], study: StudyRecord) -> str:
    dice = {site: mean_dice(model, study, site).mean for site in sites}
    lowest, *_, highest = sorted(sites, key=dice.__getitem__)
    return f"{quoted(model.label)}: a mean Dice of {dice[lowest]:.1f} ({lowest}) to {dice[highest]:.1f} ({highest})."


def _site_line(site: str | None, model: Model, study: StudyRecord) -> Line:
    cases = [case for case, own in model.cases.items() if site in (None, own)]
    hd95 = np.mean([row.cases[case]["hd95_mm"] for row in model.rows for case in cases])
    cells = [
        site or "all sites",
        model.label,
        str(len(cases)),
        _percent(mean_dice(model, study, site)),
        f"{100 * model.mean_dice(cases).min():.1f}",
        f"{hd95:.1f}",
        f"{sum(map(model.missed, cases))} of {len(cases)}",
    ]
    return Line(cells, model.rows[0].role)


def _where(models: list[Model], study: StudyRecord) -> list[Block]:
    first, *others = models
    note = (
        "The worst cases come first. Each picture shows the slice with the most wrong voxels, seen from the feet and "
        "counted from the feet: the ground truth in yellow, the segmentation in blue. The scores are those of the "
        "whole volume."
    )
    blocks: list[Block] = [_worst(first), worst_pictures(first, study.dataset), Note(note)]
    blocks.append(Folded(f"All cases of {quoted(first.label)}, the worst first", [case_table(first)]))
    for model in others:
        content = [_worst(model), worst_pictures(model, study.dataset), case_table(model)]
        blocks.append(Folded(f"Where {quoted(model.label)} fails", content))
    return blocks


def _worst(model: Model) -> Headline:
    cases = worst_first(model)
    dice = 100 * model.mean_dice(cases)
    seeds = f" (its mean over {len(model.rows)} seeds)" if len(model.rows) > 1 else ""
    text = f"{quoted(model.label)}: the lowest Dice of {len(cases)} cases is {dice[0]:.1f}{seeds}, that of {cases[0]}"
    if len(cases) >= TENTH:
        text += f", and one case in ten is below {np.quantile(dice, 0.1):.1f}"
    lost = missed(model)
    of_cases = f"{len(lost)} of {len(cases)} cases: {named(lost)}" if lost else "no case"
    return Headline(f"{text}.", f"It missed the prostate in {of_cases}.")


def _percent(found: Estimate) -> str:
    return f"{found.mean:.1f} ({found.low:.1f} to {found.high:.1f})" if found.cases > 1 else f"{found.mean:.1f}"
