"""The sections of a fingerprint's page: sites, outliers and contact sheets."""

from collections.abc import Mapping, Sequence

from data_prep.fingerprint.measuring import GROUPS, Case, Quantity, summarise
from data_prep.fingerprint.outliers import FEWEST_CASES, LIMIT, Outlier
from data_prep.fingerprint.spread_plots import spread_plots
from reporting.blocks import Block, Heading, Note, Picture, Section
from reporting.table import NOTHING, Line, Table

LISTED_OUTLIERS = 40
SITES_NOTE = Note(
    "Each cell shows mean / median (minimum to maximum) over the cases, or one figure when all cases have the same "
    "value. Rows, columns and slices are those of the axial view. The figures of the gland are those of the cases with "
    "a mask. The field of view of a gland is the width of the smallest square around the image's centre that encloses "
    "the gland. In the plots, a point is a case, a bar is the median of a site, and a red ring marks an outlier."
)
CONTACT_NOTE = Note(
    "Each picture shows the slice with the largest area of gland, seen from the feet; the patient's right is on the "
    "left. The yellow line is the outline of the mask. The label at the bottom names the case, in the colour of its "
    "site. A red label at the top names the quantities in which the case is an outlier."
)


def dataset_summary(sites: Mapping[str, Sequence[Case]], outliers: Sequence[Outlier]) -> str:
    """The line below the title: the numbers of cases, sites, masks and outliers."""
    cases = [case for site in sites.values() for case in site]
    masks = sum(case.values["gland_ml"] is not None for case in cases)
    unlike = len({outlier.case for outlier in outliers})
    return (
        f"{_count(len(cases), 'case')} of {_count(len(sites), 'site')}, {masks} with a mask; "
        f"{_count(unlike, 'case')} unlike the others of the site"
    )


def dataset_sections(
    sites: Mapping[str, Sequence[Case]],
    outliers: Sequence[Outlier],
    sheets: Sequence[Picture],
    further_sheets: Sequence[str],
) -> list[Section]:
    """All sections of the page.

    Args:
        sites: the cases of each site.
        outliers: as ``find_outliers`` gives them.
        sheets: the contact sheets that the page shows.
        further_sheets: file names of the contact sheets that the page does not show.
    """
    notes = [Note(f"Further sheets lie beside this page: {', '.join(further_sheets)}.")] if further_sheets else []
    return [
        Section("Sites", _sites(sites, outliers)),
        Section("Outliers", _outliers(sites, outliers)),
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
        f"A value is an outlier when its modified z-score among the cases of its site is beyond ±{LIMIT}. The score is "
        "the distance from the median, divided by 1.4826 times the median absolute deviation. Where this deviation is "
        "0, the divisor is 1.2533 times the mean absolute deviation (Iglewicz and Hoaglin 1993). For the volume of the "
        "gland, the median intensity and the 99th percentile of intensity, the logarithms are scored. The usual range "
        f"holds the values with scores within ±{LIMIT}. An outlier need not be a fault: look at its picture."
    )
    if small:
        rule += f" Sites with fewer than {FEWEST_CASES} cases are not judged: {', '.join(small)}."
    if not outliers:
        return [Note(f"No value is an outlier. {rule}")]
    lines = [
        Line([found.case, found.site, _full_title(found.quantity), found.quantity.in_words(found.value), _usual(found)])
        for found in outliers[:LISTED_OUTLIERS]
    ]
    blocks: list[Block] = [Table(["case", "site", "quantity", "value", "usual in the site"], lines, texts=3)]
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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
