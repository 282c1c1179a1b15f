"""Import of raw studies into a canonical dataset, and splitting and validation of it: ``python -m data_prep
--help``.
"""
