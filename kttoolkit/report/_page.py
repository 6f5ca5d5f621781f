"""The page: what a result holds, put into a template."""

import base64
import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from kttoolkit.exceptions import ResultError
from kttoolkit.files import written_whole
from kttoolkit.importance import Importance, importance, interactions
from kttoolkit.plain import counted, visible_lines
from kttoolkit.report._advice import advice
from kttoolkit.report._pictures import pictures
from kttoolkit.report._tables import (
    as_json,
    duration,
    in_words,
    space_table,
    trials_table,
)
from kttoolkit.results import TuneResult, setting_as_code, share_of_epochs_saved

_TOP = 5
_RESAMPLES = 5
_PAIRED = 3
_SPREADS, _LEAST = 2.0, 0.005
# Where dark means good, it must not be lost in a dark page.
_ON_WHITE = ("contours", "parallel_coordinates")
_TASKS = {
    "binary": "classification in two classes",
    "multiclass": "classification in {n} classes",
    "multilabel": "classification with {n} labels",
    "regression": "regression",
}


def write_report(
    result: TuneResult,
    path: str | Path,
    *,
    predictions: pd.DataFrame | None = None,
    seed: int = 0,
) -> Path:
    """Write one page that tells the whole search, for any browser, without a network.

    Args:
        result: of a search, finished or not.
        path: of the page, `.html`. One that is there is replaced.
        predictions: what `TuneResult.out_of_fold` returned; asked for if left out and
            the result can make models.
        seed: of the forests that importance is found with.

    Returns:
        The path.

    Raises:
        ResultError: if the path does not end in `.html`.

    Example:
        >>> result.report("report.html")  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise ResultError(
            f"A report is a page, whose name ends in .html, but got {str(path)!r}. "
            "Tables are written by result.export."
        )
    text = page(result, predictions=predictions, seed=seed)
    with written_whole(path) as partial:
        partial.write_text(visible_lines(text), encoding="utf-8")
    return path


def page(
    result: TuneResult, *, predictions: pd.DataFrame | None = None, seed: int = 0
) -> str:
    """Return the page.

    Args:
        result: of a search, finished or not.
        predictions: of the best trial, or None to ask the result.
        seed: of the forests that importance is found with.

    Returns:
        HTML in which what users name is text.
    """
    mattered = _importance(result, seed)
    drawn = pictures(result, mattered, _predictions(result, predictions))
    script = _file("page.js")
    has_best = any(record.status == "completed" for record in result.records)
    template = Environment(
        loader=PackageLoader("kttoolkit.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    return template.render(
        title=result.directory.name or str(result.directory),
        lead=_lead(result),
        figures=_figures(result),
        advice=advice(result, mattered if isinstance(mattered, Importance) else None),
        best={k: in_words(v) for k, v in result.best_values.items()}
        if has_best
        else {},
        code=setting_as_code(result) if has_best else "",
        compared=_compared(result) if has_best else [],
        objective=result.study.objective,
        together=_together(result, seed),
        pictures=[one for one in drawn if one.svg],
        on_white=_ON_WHITE,
        left_out=[one for one in drawn if not one.svg],
        space=space_table(result),
        asked=_asked(result),
        failures=result.failures.to_dict(),
        versions=dict(result.study.versions),
        fingerprints={k: v[:16] for k, v in result.study.fingerprints.items() if v},
        table=as_json(trials_table(result)),
        n_trials=len(result.records),
        css=_file("page.css"),
        script=script,
        script_hash=_hash(script),
        written=f"{dt.datetime.now():%Y-%m-%d %H:%M}",
    )


def _importance(result: TuneResult, seed: int) -> Importance | str:
    try:
        return importance(result, n_resamples=_RESAMPLES, seed=seed)
    except ResultError as error:
        return str(error)


def _together(result: TuneResult, seed: int) -> list[dict[str, str]]:
    """Return the pairs whose interaction is more than its own spread, if any."""
    try:
        frame = interactions(result, top=_PAIRED, n_resamples=_RESAMPLES, seed=seed)
    except ResultError:
        return []
    clear = frame[frame["interaction"] > _SPREADS * frame["std"].clip(lower=_LEAST)]
    return [
        {
            "pair": f"{row['hyperparameter']} and {row['other']}",
            "share": f"{row['interaction']:.1%} ± {row['std']:.1%}",
        }
        for row in clear.to_dict("records")
    ]


def _predictions(
    result: TuneResult, predictions: pd.DataFrame | None
) -> "pd.DataFrame | str":
    if predictions is not None:
        return predictions
    try:
        return result.out_of_fold()
    except ResultError as error:
        return str(error)


def _lead(result: TuneResult) -> str:
    study = result.study
    task = _TASKS.get(study.task, study.task).format(n=len(study.classes))
    rows = f" on {counted(study.n_samples, 'row')}" if study.n_samples else ""
    return f"{study.tuner}, {task}{rows}, {study.cv}"


def _figures(result: TuneResult) -> list[tuple[str, str, str]]:
    """Return the numbers at the top: label, value, and what stands below."""
    study, records = result.study, result.records
    counts = Counter(record.status for record in records)
    figures = []
    if counts["completed"]:
        best = result.best_trial
        spread = counted(len(best.fits), "training") if best.fits else ""
        spread = f"± {best.std:.4g}, {spread}" if len(best.fits) > 1 else spread
        figures.append((f"best {study.objective}", f"{best.score:.4g}", spread))
    for name, value in result.test_metrics.items():
        figures.append((f"{name} on untouched rows", f"{value:.4g}",
                        counted(study.n_test, "row")))  # fmt: skip
    told = ", ".join(f"{n} {s}" for s, n in counts.items() if s != "completed")
    figures.append(("trials", f"{len(records):,}", told or "all completed"))
    seconds = sum(record.seconds for record in records)
    figures.append(("time of training", duration(seconds), _saved(result)))
    return figures


def _saved(result: TuneResult) -> str:
    done = [record for record in result.records if record.status == "completed"]
    starts, epochs = (
        sum(getattr(r, n) for r in done) for n in ("n_starts", "n_epochs")
    )
    saved = share_of_epochs_saved(starts, epochs, result.study.max_epochs)
    return f"{saved:.0%} of the epochs saved" if saved else counted(epochs, "epoch")


def _compared(result: TuneResult) -> list[dict[str, str]]:
    """Return the rows of the comparison with the best, or none of one fold."""
    try:
        table = result.compare(top=_TOP)
    except ResultError:
        return []
    return [
        {
            "trial": str(row["trial"]),
            "score": f"{row[f'mean_{result.study.objective}']:.4g} "
            f"± {row[f'std_{result.study.objective}']:.4g}",
            "difference": "" if number == 0 else in_words(float(row["difference"])),
            "interval": "" if number == 0 else f"{row['low']:.4g} to {row['high']:.4g}",
            "p": "" if number == 0 else f"{row['p_value']:.3f}",
            "verdict": _verdict(number, clear=bool(row["is_clear"])),
        }
        for number, row in enumerate(table.to_dict("records"))
    ]


def _verdict(number: int, *, clear: bool) -> str:
    if number == 0:
        return "best"
    return "clearly worse" if clear else "cannot be told apart"


def _asked(result: TuneResult) -> Mapping[str, Any]:
    """Return what the search was asked to do, in the words of `tune`."""
    study = result.study
    asked = {
        "tuner": study.tuner,
        "objective": f"{study.objective} ({study.direction})",
        "cv": study.cv,
        "seed": study.seed,
        "epoch_selection": study.epoch_selection,
        "max_epochs": study.max_epochs,
        "batch_size": study.batch_size,
        "rows for the folds": f"{study.n_samples:,}" if study.n_samples else "",
        "rows set aside": f"{study.n_test:,}" if study.n_test else "",
        "classes": ", ".join(map(str, study.classes[:20]))
        + (" ..." if len(study.classes) > 20 else ""),
        "study folder": str(result.directory),
    }
    return {key: value for key, value in asked.items() if value not in {None, ""}}


def _file(name: str) -> str:
    return resources.files("kttoolkit.report").joinpath(name).read_text("utf-8")


def _hash(script: str) -> str:
    """Return what a browser compares, so that it runs this script and no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
