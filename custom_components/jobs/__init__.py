"""Where work runs: on this machine, or on a Slurm cluster (``--on local | slurm``).

A :class:`Job` is a list of commands. A :class:`Place` starts jobs, tells their states and cancels them:
:class:`~custom_components.jobs.local.LocalPlace` runs processes, :class:`~custom_components.jobs.slurm.SlurmPlace`
submits to a cluster. A job outlives the program that submitted it, and its folder holds all that another program needs
to find it again. So a killed program can be started again and takes over its jobs.

A command that runs jobs adds the options with :func:`add_place_options` and gets its place from :func:`place_of`.
:func:`run_jobs` runs jobs to their end.
"""

from custom_components.jobs.job import Job, Standing, State, Step
from custom_components.jobs.place import Place, add_place_options, place_of, run_jobs

__all__ = ["Job", "Place", "Standing", "State", "Step", "add_place_options", "place_of", "run_jobs"]
