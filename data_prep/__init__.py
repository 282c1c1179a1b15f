"""Raw studies of a site -> one canonical dataset, its splits and its validation: ``python -m data_prep --help``."""
