"""The table of an evaluation: one row for each site, and a last row for all sites together.

This module imports neither torch nor MONAI, so that the model cards can be written without them.
"""

from typing import Any

EVALUATION_COLUMNS = ("site", "cases", "Dice", "HD95 mm", "ASD mm", "missed")
DECIMALS = {"dice": 3, "hd95_mm": 1, "asd_mm": 1}


def evaluation_rows(summary: dict[str, Any], all_sites: str = "all") -> list[list[str]]:
    """The cells of ``EVALUATION_COLUMNS``; each score is its mean ± its standard deviation over the cases.

    Args:
        summary: result of ``custom_components.metrics.summarise``.
        all_sites: name of the last row, which is for all sites.
    """
    return [
        [site, str(group["n"]), *(_mean_and_std(group, score) for score in DECIMALS), str(group["missed"])]
        for site, group in [*summary["sites"].items(), (all_sites, summary["all"])]
    ]


def _mean_and_std(group: dict[str, Any], score: str) -> str:
    mean, std = (f"{group[f'{score}_{statistic}']:.{DECIMALS[score]}f}" for statistic in ("mean", "std"))
    return f"{mean} ± {std}"
