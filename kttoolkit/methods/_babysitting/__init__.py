"""One model under care: trainings, interventions, the way back, branches."""

from kttoolkit.methods._babysitting._babysit import babysit, replay
from kttoolkit.methods._babysitting._log import SessionLog
from kttoolkit.methods._babysitting._session import Session

__all__ = ["Session", "SessionLog", "babysit", "replay"]
