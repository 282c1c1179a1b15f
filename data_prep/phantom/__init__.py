"""A synthetic pelvis for demonstrations and tests: drawn, scanned at six sites, and written in the released layout."""
