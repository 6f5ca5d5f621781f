"""A result in words, for terminals and notebooks."""

import html
from collections import Counter
from typing import TYPE_CHECKING, Any

from kttoolkit.plain import counted, visible, visible_lines

if TYPE_CHECKING:
    from kttoolkit.results._result import TuneResult


def in_words(result: "TuneResult") -> str:
    """Tell the outcome of a search in a few lines of text.

    Args:
        result: of a search.

    Returns:
        Objective, best score with its spread, the best setting, counts; control
        characters in what users name are written out.
    """
    counts = Counter(record.status for record in result.records)
    told = ", ".join(
        f"{counts[s]} {s}" for s in ("completed", "failed", "skipped") if counts[s]
    )
    n_trials = counted(len(result.records), "trial")
    lines = [f"{result.study.tuner}: {n_trials} ({told or 'none ended'})"]
    if any(record.score == record.score for record in result.records):
        best = result.best_trial
        values = ", ".join(
            f"{k}={_shown(v)}" for k, v in best.values.items() if _is_asked(k)
        )
        lines += [
            f"best {result.study.objective}: {best.score:.4f} ± {best.std:.4f} "
            f"over {counted(len(best.fits) or 1, 'training')} ({result.study.cv})",
            f"best setting: {values} (trial {best.trial_id})",
            f"epochs to retrain: {result.best_epochs}",
        ]
    if result.test_metrics:
        shown = ", ".join(f"{k} {v:.4f}" for k, v in result.test_metrics.items())
        lines.append(f"untouched test rows ({result.study.n_test}): {shown}")
    lines.append(f"study folder: {result.directory}")
    return "\n".join(map(visible, lines))


def as_html(result: "TuneResult") -> str:
    """Show the outcome of a search and its best trials in a notebook.

    Args:
        result: of a search.

    Returns:
        HTML in which what users name is text.
    """
    objective = result.study.objective
    columns = [
        c
        for c in map(str, result.trials)
        if c in {"rank", "trial", f"mean_{objective}", f"std_{objective}"}
        or (c.startswith("param_") and _is_asked(c.removeprefix("param_")))
    ]
    table = result.trials.sort_values("rank")[columns].head(10)
    rows = table.to_html(index=False, float_format=lambda v: f"{v:.4g}", border=0)
    return f"<pre>{html.escape(result.summary())}</pre>{visible_lines(rows)}"


def _is_asked(name: str) -> bool:
    """Tell a user's hyperparameter from Hyperband's own notes."""
    return not name.startswith("tuner/")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
