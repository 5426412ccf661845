"""Experiments with two versions: who gets which, how many trials are needed, and evidence at every look."""

from labkit.experiment._assign import assign
from labkit.experiment._evidence import Counts, SequentialTest, e_values
from labkit.experiment._fixed import p_value, sample_size
from labkit.experiment._ratio import ratio_mismatch

__all__ = ["Counts", "SequentialTest", "assign", "e_values", "p_value", "ratio_mismatch", "sample_size"]
