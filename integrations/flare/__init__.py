"""Bundles in an NVIDIA FLARE federation: a student trained by several hospitals, and teachers that leave theirs."""
