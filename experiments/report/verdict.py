"""A choice of a model in words: its score, how sure the choice is, its cost, and where its weights are."""

from collections.abc import Sequence

from experiments.report.bootstrap import Estimate
from experiments.report.deployment import FEWEST_CASES, Choice, Rival
from experiments.report.folds import JoinedRun
from experiments.report.network_costs import cpu_time
from experiments.report.scores import count
from experiments.report.study import Model, StudyRecord
from reporting.blocks import Headline
from reporting.table import NOTHING

# Below this Dice (%), more than two voxels are wrong for each voxel that is right.
WORTHLESS = 50
# A sentence that would name more models counts the rest.
MOST_NAMED = 3


def answer(choice: Choice, study: StudyRecord) -> Headline:
    """The model to deploy with its mean Dice, and how sure the cases are of it."""
    cases = f"{len(choice.cases)} {study.settings['scored_on']} {'case' if len(choice.cases) == 1 else 'cases'}"
    interval = f" (95 % interval {_span(choice.dice)})" if len(choice.cases) > 1 else ""
    text = f"{_advice(choice)} Its mean Dice is {choice.dice.mean:.1f} on {cases}{interval}."
    return Headline(text, " ".join(_doubts(choice)))


def cost(model: Model) -> str:
    """The parameters of a model, its time on a CPU, and the place of its weights."""
    time = cpu_time(model.network)
    measured = f", {time} for a slice of 1x384x384 on a CPU" if time != NOTHING else ""
    return f"{count(parameters(model))} parameters{measured}; {_weights(model)}"


def parameters(model: Model) -> int:
    """The number of parameters of a model."""
    return model.rows[0].evaluation["params"]


def missed(model: Model) -> list[str]:
    """The cases of which at least one seed missed the prostate."""
    return [case for case in model.cases if model.missed(case)]


def lead(rival: Rival) -> str:
    """The difference by which the chosen model is ahead, with its interval."""
    interval = f" ({_span(rival.lead, sign='+')})" if rival.lead.cases > 1 else ""
    return f"{rival.lead.mean:+.1f}{interval}"


def named(labels: Sequence[str]) -> str:
    """Names in a sentence, ``A, B and C``; further ones are counted: ``A, B, C and 2 others``."""
    rest = len(labels) - MOST_NAMED
    parts = [*labels[:MOST_NAMED], f"{rest} {'other' if rest == 1 else 'others'}"] if rest > 0 else [*labels]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def quoted(label: str) -> str:
    """The label of a model in a sentence; a label may hold a comma."""
    return f"“{label}”"


def _advice(choice: Choice) -> str:
    """The situation of the site, and the model for it; no model if none is worth it."""
    advice = f"deploy {quoted(choice.best.label)}."
    if choice.dice.mean < WORTHLESS:
        advice = f"deploy none of these models yet. The best one is {quoted(choice.best.label)}."
    match choice.masks:
        case None:
            return advice[0].upper() + advice[1:]
        case str():
            return f"With masks of all cases of your site, {advice}"
        case 0:
            return f"With no mask of your site, {advice}"
        case 1:
            return f"With one mask of your site, {advice}"
    return f"With {choice.masks} masks of your site, {advice}"


def _doubts(choice: Choice) -> list[str]:
    sentences = _against_rivals(choice) if choice.rivals else _against_stand_in(choice)
    if lost := missed(choice.best):
        sentences.append(f"It missed the prostate in {len(lost)} of {len(choice.cases)} cases.")
    return sentences


def _against_rivals(choice: Choice) -> list[str]:
    first, *others = choice.rivals
    sentences = [f"It leads the runner-up, {quoted(first.model.label)}, by {lead(first)} Dice points.", _shown(first)]
    further = [quoted(rival.model.label) for rival in others if not rival.told_apart]
    if further and len(choice.cases) >= FEWEST_CASES:
        sentences.append(f"The cases {'do not' if first.told_apart else 'also do not'} tell it from {named(further)}.")
    close = [rival.model for rival in choice.rivals if not rival.told_apart]
    smallest = min(close, key=parameters, default=choice.best)
    if parameters(smallest) < parameters(choice.best):
        sentences.append(
            f"Of these, {quoted(smallest.label)} is the smallest ({count(parameters(smallest))} parameters)."
        )
    if choice.best.rows[0].role == "baseline" and any(rival.model.rows[0].role == "student" for rival in choice.rivals):
        sentences.append("It was trained alone: no distilled student has a higher mean Dice here.")
    return sentences


def _against_stand_in(choice: Choice) -> list[str]:
    other = choice.stand_in
    if not other:
        return ["It is the only model with scores on these cases, so there is nothing to compare it with."]
    difference = f"Its difference to {quoted(other.model.label)} is {lead(other)} Dice points."
    return ["It is the only candidate.", difference, _shown(other)]


def _shown(rival: Rival) -> str:
    """A sentence that says what the interval of a lead shows."""
    cases = rival.lead.cases
    if cases < FEWEST_CASES:
        return f"Fewer than {FEWEST_CASES} cases cannot tell any two models apart."
    if rival.lead.high < 0:
        return f"The whole interval is below zero: {quoted(rival.model.label)} is the better one on cases like these."
    if rival.told_apart:
        return "The whole interval is above zero: it is the better one on cases like these."
    return f"The interval includes zero: these {cases} cases cannot tell the two apart."


def _weights(model: Model) -> str:
    row = model.rows[0]
    if row.masks is not None:
        return "train it with the images of your site before you deploy it"
    if isinstance(row, JoinedRun):
        return "every fold has weights of its own, so train it once on all cases before you deploy it"
    of_seed = f", seed {row.seed}" if len(model.rows) > 1 else ""
    return f"weights in bundles/{row.name}/models{of_seed}"


def _span(found: Estimate, sign: str = "") -> str:
    return f"{found.low:{sign}.1f} to {found.high:{sign}.1f}"
