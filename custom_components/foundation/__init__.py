"""Modules that every part of the project uses: custom_components, data_prep, experiments, reporting and the hosts.

They hold errors, files, NIfTI volumes, masks and their window, tables, the terminal, locks and threads. They use no
other module of the project. Loading them loads neither torch nor MONAI, so that a program without both can use them.
"""
