"""The AesBench metric: how the answers of a model to the benchmark's four tasks are read and scored."""

from .aesbench import CONFIGS, Choice, aesbench_scores, grade_choices, read_choice


__all__ = ["CONFIGS", "Choice", "aesbench_scores", "grade_choices", "read_choice"]
