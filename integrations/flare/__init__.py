"""Bundles in an NVIDIA FLARE federation: hospitals train one student together, or each hospital trains a teacher."""
