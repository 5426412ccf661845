"""The learner's folder: notebooks, the shop's git repository, settings, the artifact database, and the lock.

All that labkit itself keeps in a workspace lies in its folder `.labkit`.
"""

from labkit.workspace._course import course
from labkit.workspace._labs import EXERCISES, LabNotebook, labs
from labkit.workspace._settings import Settings, user
from labkit.workspace._workspace import Workspace

__all__ = ["EXERCISES", "LabNotebook", "Settings", "Workspace", "course", "labs", "user"]
