"""One file for each layout that raw studies come in; each has ``find_cases(folder) -> Listing``."""
