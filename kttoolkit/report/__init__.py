"""One page that tells a search: for a browser, a printer, a colleague."""

from kttoolkit.report._advice import advice
from kttoolkit.report._page import write_report

__all__ = ["advice", "write_report"]
