"""Segments the prostate with one ``student.onnx``, without torch and MONAI: ``segment student.onnx IN OUT``."""
