"""The names of a split file's lists of cases."""

HELD_OUT = ("validation", "test")  # a network learns from none of their cases
LISTS = ("training", *HELD_OUT)
UNLABELED = "unlabeled"  # the images without masks; a split need not have this list
