"""MIMIC-III and MIMIC-IV with MIMIC-CXR: one sample is one ICU stay."""
