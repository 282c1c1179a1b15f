"""What each network costs: parameters, operations and CPU time, beside the paper's Table 1."""

from experiments.complexity.measuring import NETWORKS, measure, measure_exported
from experiments.complexity.page import describe_machine, render_page, write_page

__all__ = ["NETWORKS", "describe_machine", "measure", "measure_exported", "render_page", "write_page"]
