"""The working methods of practitioners: procedures over `tune` and single models."""

from kttoolkit.methods._coarse_to_fine import coarse_to_fine
from kttoolkit.methods._initialization import initialization_check

__all__ = ["coarse_to_fine", "initialization_check"]
