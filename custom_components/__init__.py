"""What the bundles' configs name by ``_target_``: networks, losses, data, engines, teachers, metrics, handlers."""

from custom_components.errors import report_input_errors_in_one_line

report_input_errors_in_one_line()
