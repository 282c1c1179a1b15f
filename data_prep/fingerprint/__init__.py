"""The fingerprint of a dataset: sizes and intensities by site, the outliers, and a picture of each case."""
