"""The working methods of practitioners: procedures over `tune` and single models."""

from kttoolkit.methods._babysitting import Session, SessionLog, babysit, replay
from kttoolkit.methods._coarse_to_fine import coarse_to_fine
from kttoolkit.methods._cross_validate import cross_validate
from kttoolkit.methods._initializing import InitializationReport, initialization_check
from kttoolkit.methods._nested import NestedResult, nested_cross_validate
from kttoolkit.methods._retest import RetestResult, retest

__all__ = [
    "InitializationReport",
    "NestedResult",
    "RetestResult",
    "Session",
    "SessionLog",
    "babysit",
    "coarse_to_fine",
    "cross_validate",
    "initialization_check",
    "nested_cross_validate",
    "replay",
    "retest",
]
