"""Models made from a result, and settings added to it."""

from kttoolkit.models._trainer import StudyTrainer

__all__ = ["StudyTrainer"]
