"""Synthetic patients for the sandbox EHR: the same bytes for the same seed, on every run and every machine."""

from seeds.generator.cohort import Cohort, SyntheticPatient, generate

__all__ = ["Cohort", "SyntheticPatient", "generate"]
