"""A look at a dataset: what its sites' images and masks measure, which cases stand out, a picture of each."""
