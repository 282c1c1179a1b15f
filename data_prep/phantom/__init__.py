"""A made-up pelvis for demonstrations and tests: drawn, scanned at six sites, written in the released layout."""
