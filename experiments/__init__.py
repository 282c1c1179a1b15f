"""Whole studies: a plan of trainings, run as ordinary bundle runs, and reported beside each other."""
