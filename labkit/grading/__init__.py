"""What an instructor does with the labs: release the learner copies."""

from labkit.grading._release import learner_notebooks, release, release_notebook

__all__ = ["learner_notebooks", "release", "release_notebook"]
