"""Studies: the trainings of a plan, run as ordinary bundle runs and compared in one report."""
