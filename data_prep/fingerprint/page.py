"""What the page of a fingerprint says."""

from collections.abc import Mapping, Sequence

from data_prep.fingerprint.measuring import GROUPS, Case, Quantity, summarise
from data_prep.fingerprint.outliers import FEWEST_CASES, LIMIT, Outlier
from data_prep.fingerprint.plots import spread_plots
from reporting import NOTHING, Block, Heading, Line, Note, Picture, Section, Table

LISTED_OUTLIERS = 40
SITES_NOTE = Note(
    "Mean / median (smallest to largest) over the cases; a single figure where all are equal. Rows, columns and slices "
    "are those of the axial view; figures of the gland are of the cases with a mask, its field of view being the width "
    "of the smallest square around the image's centre that holds it. A point is a case, a bar the "
    "median of its site, a red ring a value that stands out of its site."
)
CONTACT_NOTE = Note(
    "Each case at the slice with the largest gland area, seen from the feet, the patient's right on the left; mask "
    "outlined in yellow. Below: the case, in its site's colour. Red: what stands out."
)


def summary(sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]) -> str:
    """The line below the title."""
    cases = [case for site in sites.values() for case in site]
    masks = sum(case.values["gland_ml"] is not None for case in cases)
    unlike = len({outlier.case for outlier in outliers})
    return (
        f"{_count(len(cases), 'case')} of {_count(len(sites), 'site')}, {masks} with a mask; "
        f"{_count(unlike, 'case')} unlike the others of the site"
    )


def sections(
    sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier], sheets: Sequence[Picture], unseen: Sequence[str]
) -> list[Section]:
    """The page: the sites in figures and plots, what stands out, contact sheets.

    Args:
        sites: the cases of each site.
        outliers: as ``find_outliers`` gives them.
        sheets: the contact sheets to show.
        unseen: file names of those that only lie beside the page.
    """
    notes = [Note(f"Further sheets lie beside this page: {', '.join(unseen)}.")] if unseen else []
    return [
        Section("Sites", _sites(sites, outliers)),
        Section("Cases that stand out", _outliers(sites, outliers)),
        Section("Contact sheet", [CONTACT_NOTE, *sheets, *notes]),
    ]


def _sites(sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]) -> list[Block]:
    blocks: list[Block] = [SITES_NOTE]
    for title, quantities in GROUPS.items():
        plots = spread_plots(sites, quantities, outliers)
        blocks += [Heading(title), _site_table(sites, quantities), Picture(plots, f"{title} of each case, by site")]
    return blocks


def _site_table(sites: Mapping[str, Sequence[Case]], quantities: Sequence[Quantity]) -> Table:
    groups = dict(sites)
    if len(sites) > 1:
        groups["all sites"] = [case for cases in sites.values() for case in cases]
    lines = []
    for name, cases in groups.items():
        measured = summarise(cases)
        cells = [_in_words(quantity, measured[quantity.key]) for quantity in quantities]
        lines.append(Line([name, str(len(cases)), *cells]))
    return Table(["site", "cases", *(quantity.title for quantity in quantities)], lines)


def _in_words(quantity: Quantity, measured: Mapping[str, float] | None) -> str:
    if measured is None:
        return NOTHING
    mean, median, low, high = (measured[name] for name in ("mean", "median", "min", "max"))
    if low == high:
        return quantity.in_words(low)
    digits = max(quantity.digits, 1)  # whole numbers have a mean with a fraction
    return f"{mean:.{digits}f} / {median:.{digits}f} ({quantity.in_words(low)} to {quantity.in_words(high)})"


def _outliers(sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]) -> list[Block]:
    small = [site for site, cases in sites.items() if len(cases) < FEWEST_CASES]
    rule = (
        f"A value stands out where its modified z-score among the cases of its site is beyond ±{LIMIT}: its distance "
        "from the median, divided by 1.4826 times the median absolute deviation (1.2533 times the mean one, where that "
        "is 0; Iglewicz and Hoaglin 1993). Gland volume, median and 99th percentile of intensity are judged by their "
        f"logarithms. The usual range is that of scores within ±{LIMIT}. To stand out is no fault: look at the picture."
    )
    if small:
        rule += f" Not judged, with fewer than {FEWEST_CASES} cases: {', '.join(small)}."
    if not outliers:
        return [Note(f"None. {rule}")]
    lines = [
        Line([found.case, found.site, _full_title(found.quantity), found.quantity.in_words(found.value), _usual(found)])
        for found in outliers[:LISTED_OUTLIERS]
    ]
    blocks: list[Block] = [Table(["case", "site", "quantity", "value", "usual in its site"], lines, texts=3)]
    if len(outliers) > LISTED_OUTLIERS:
        rest = len(outliers) - LISTED_OUTLIERS
        blocks.append(Note(f"The {LISTED_OUTLIERS} farthest; {rest} more are in fingerprint.json."))
    return [*blocks, Note(rule)]


def _usual(found: Outlier) -> str:
    low, high = map(found.quantity.in_words, found.usual)
    return low if low == high else f"{low} to {high}"


def _full_title(quantity: Quantity) -> str:
    (group,) = (title for title, quantities in GROUPS.items() if quantity in quantities)
    return f"{group.lower()}: {quantity.title}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
