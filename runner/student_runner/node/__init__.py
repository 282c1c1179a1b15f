"""A DICOM node: receives studies, segments the prostate, stores the results in a PACS (``segment-node node.yaml``)."""
