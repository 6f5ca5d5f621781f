"""The one place where a Keras Tuner trial becomes K folds.

`FoldTuner` stands in the method resolution order between Keras Tuner's concrete
tuners and `keras_tuner.Tuner`. A tuner above it, Keras Tuner's or a user's,
overrides what it always did and finds folds below.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData, by_class_number
from kttoolkit.engine import (
    FitPlan,
    choose,
    prepare_devices,
    publish,
    rare_collections,
)
from kttoolkit.evaluate import Outcome, evaluate
from kttoolkit.exceptions import SearchError
from kttoolkit.hyperparameters import as_hyperparameters
from kttoolkit.options import OF_A_TUNER, checked
from kttoolkit.plain import shown
from kttoolkit.results import TrialRecord
from kttoolkit.scoring import (
    EPOCH_SELECTIONS,
    EpochSelection,
    FoldFit,
    TrialScore,
    aggregate,
    best_index,
)
from kttoolkit.trackers import Trackers, TrackersLike, as_trackers
from kttoolkit.tuners._arguments import check_parts, known_only
from kttoolkit.tuners._budget import Budget
from kttoolkit.tuners._call import (
    Call,
    as_returned,
    knows_already,
    plan_of,
    told_by_results,
    told_by_score,
    verdict,
)
from kttoolkit.tuners._executors import Parallel, as_parallel
from kttoolkit.tuners._models import ModelTuner
from kttoolkit.tuners._parallel import (
    Handlers,
    SearchStopped,
    refuse_what_stays_here,
    search_in_parallel,
)
from kttoolkit.tuners._retention import Retention
from kttoolkit.tuners._rows import cut_rows
from kttoolkit.tuners._told import telling_trackers
from kttoolkit.tuners._trial import (
    TrialObserver,
    as_history,
    named_arguments,
    overrides_build_and_fit,
    record_of,
)


class FoldTuner(ModelTuner):
    """A `keras_tuner.Tuner` whose trials are scored by cross-validation.

    Args:
        oracle: proposes hyperparameters.
        hypermodel: a build function or `HyperModel`.
        cv: number of folds, "stratified", "kfold", a scikit-learn splitter, an
            iterable of index pairs; None trains once on what `search` is given,
            as Keras Tuner does.
        engine: "auto", "compiled", "stacked" or "reference"; see
            `kttoolkit.engine.choose`.
        preprocessor: a scikit-learn transformer, or a function
            `hp -> transformer`, fitted on each fold's training part.
        epoch_selection: "per_fold" or "common"; see `kttoolkit.scoring.aggregate`.
        trackers: are told what happens; see `kttoolkit.tune`.
        timeout: seconds after which no further epoch is trained, or None.
        max_total_epochs: epochs of all trainings of all trials after which none is
            trained any more, or None. Kept to within an epoch; with `parallel=`, to
            what is trained in a tenth of a second.
        trial_timeout: seconds after which a trial fails, at the end of an epoch, or
            None. It is not tried again.
        parallel: trials at a time, or an executor; see `kttoolkit.tune`.
        keep_checkpoints: "all", "none", or how many of the best trials keep their
            weights on disk; records and curves always stay.
        **kwargs: arguments of `keras_tuner.Tuner`.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: Any = None,
        *,
        cv: Any = None,
        engine: str = "auto",
        preprocessor: Any = None,
        epoch_selection: EpochSelection = "per_fold",
        trackers: TrackersLike = (),
        timeout: float | None = None,
        max_total_epochs: int | None = None,
        trial_timeout: float | None = None,
        parallel: Any = None,
        keep_checkpoints: Any = "all",
        **kwargs: Any,
    ) -> None:
        if hypermodel is None and _keeps_run_trial(type(self)):
            raise SearchError(
                "hypermodel must be a build function or a HyperModel unless a tuner "
                "overrides run_trial. Received `hypermodel=None`."
            )
        own = checked(
            {
                "engine": engine, "epoch_selection": epoch_selection,
                "timeout": timeout, "max_total_epochs": max_total_epochs,
                "trial_timeout": trial_timeout, "keep_checkpoints": keep_checkpoints,
            },
            OF_A_TUNER,
        )  # fmt: skip
        kwargs = known_only(kwargs, FoldTuner)
        check_parts(oracle, hypermodel)
        prepare_devices()
        choose(own["engine"])
        if own["epoch_selection"] not in EPOCH_SELECTIONS:
            raise SearchError(
                f"epoch_selection must be one of {EPOCH_SELECTIONS}, but got "
                f"{shown(epoch_selection)}."
            )
        # A subclass of its own may have given these names to something else.
        self.cv = getattr(self, "cv", cv)
        self.preprocessor = getattr(self, "preprocessor", preprocessor)
        self._cv_given, self._preprocessor_given = cv, preprocessor
        self.engine: str = own["engine"]
        self.epoch_selection: EpochSelection = own["epoch_selection"]
        self.trackers = Trackers(as_trackers(trackers))
        self.timeout: float | None = own["timeout"]
        self.budget = Budget(self.timeout, own["max_total_epochs"])
        self.trial_timeout: float | None = own["trial_timeout"]
        self.parallel: Parallel | None = as_parallel(parallel)
        self._retention = Retention(own["keep_checkpoints"], self.get_trial_dir)
        self.search_seed: int = getattr(oracle, "seed", 0)
        self._shares_folds = getattr(oracle, "has_own_seed", True)
        self._cut: tuple[Any, TrainingData, Folds] | None = None
        self._fits: dict[str, tuple[FoldFit, ...]] = {}
        super().__init__(oracle, hypermodel, **kwargs)
        # A resumed search goes on with the seed it was started with.
        self.search_seed = getattr(oracle, "seed", self.search_seed)
        if self.parallel is not None:
            refuse_what_stays_here(self, keeps_run_trial=_keeps_run_trial(type(self)))

    # -- the search ---

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search, every trial trained with these arguments of `fit`.

        Args:
            *fit_args: as `keras.Model.fit` takes them.
            **fit_kwargs: as `keras.Model.fit` takes them, and `groups` of shape
                (n_samples,) for group splitters.

        Raises:
            CrossValidationError: if the folds cannot be cut from these data.
        """
        inputs, groups, others = named_arguments(fit_args, fit_kwargs)
        if self._uses_folds:
            self._training_data(inputs, groups)
        told = telling_trackers(self, others.get("epochs"))
        with rare_collections(), self.guarded(), told:
            self.budget.begin(self.project_dir)
            self._retention.begin(self.project_dir)
            try:
                self._run_all(fit_args, fit_kwargs)
                self._retention.finish()
            except SearchStopped:
                self.on_search_end()

    def _run_all(self, fit_args: tuple[Any, ...], fit_kwargs: dict[str, Any]) -> None:
        if self.parallel is None:
            super().search(*fit_args, **fit_kwargs)
            return
        self.oracle.verbose = fit_kwargs.get("verbose", self.oracle.verbose)
        call = self._call(fit_args, fit_kwargs)
        handlers = Handlers(self._plan, self._end, self._settle)
        search_in_parallel(self, call, handlers)

    def pre_create_trial(self) -> None:
        """End the search where nothing is left for a further trial."""
        if self.budget.is_spent:
            raise SearchStopped

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> list[Any]:
        """Train all folds and executions of a trial.

        Args:
            trial: its hyperparameters are evaluated.
            *fit_args: as `search` was given them.
            **fit_kwargs: as `search` was given them.

        Returns:
            One `keras.callbacks.History` for each training.
        """
        if overrides_build_and_fit(self, uses_folds=self._uses_folds):
            return super().run_trial(trial, *fit_args, **fit_kwargs)
        call = self._call(fit_args, fit_kwargs)
        try:
            outcome = evaluate(
                call.factory,
                as_hyperparameters(trial.hyperparameters),
                call.data,
                call.folds,
                self._plan(trial, call.plan),
                engine=self.engine,
                observer=TrialObserver(self, trial),
            )
        except Exception:
            trial.hyperparameters = call.asked_for(trial.hyperparameters)
            raise
        return self._take(trial, outcome)

    def _call(self, fit_args: tuple[Any, ...], fit_kwargs: Mapping[str, Any]) -> Call:
        """Make ready what the evaluations of all trials share."""
        data, folds, args, kwargs = None, None, fit_args, dict(fit_kwargs)
        callbacks = kwargs.pop("callbacks", None) or []
        if self._uses_folds:
            inputs, groups, kwargs = named_arguments(fit_args, kwargs)
            callbacks = kwargs.pop("callbacks", None) or callbacks
            data, folds = self._training_data(inputs, groups)
            kwargs, args = {"verbose": 0, **by_class_number(kwargs, data)}, ()
        plan = FitPlan(
            objective=self.oracle.objective,
            seed=self.search_seed,
            executions=self.executions_per_trial,
            preprocessor=self._preprocessor_given,
            fit_args=args,
            fit_kwargs=kwargs,
            callbacks=tuple(callbacks),
            timeout=self.trial_timeout,
            scored_later=not _keeps_run_trial(type(self)),
        )
        return Call(self._factory(), data, folds, plan)

    def _plan(self, trial: Any, plan: FitPlan) -> FitPlan:
        return plan_of(
            plan,
            trial.trial_id,
            trial.hyperparameters.values,
            attempt=self._attempt_of(trial),
            folder_of=self.get_trial_dir,
        )

    def _take(self, trial: Any, outcome: Outcome) -> list[Any]:
        """Keep what came of an evaluation."""
        trial.hyperparameters = outcome.hyperparameters
        self._fits[trial.trial_id] = outcome.fits
        objective, best = self.oracle.objective, 0
        if all(objective.name in fit.history for fit in outcome.fits):
            values = self._score(outcome.fits).splits[objective.name]
            best = best_index(values, objective.direction)
        publish(self.get_trial_dir(trial.trial_id), best)
        return [as_history(fit) for fit in outcome.fits]

    def _run_and_update_trial(
        self, trial: Any, *fit_args: Any, **fit_kwargs: Any
    ) -> None:
        self._tell_oracle(trial, self.run_trial(trial, *fit_args, **fit_kwargs))

    def _end(self, trial: Any, outcome: Outcome) -> None:
        """Take what came of an evaluation elsewhere and tell the oracle."""
        self._tell_oracle(trial, self._take(trial, outcome))

    def _tell_oracle(self, trial: Any, results: Any) -> None:
        """Tell the oracle what came of a trial."""
        trial_id, objective = trial.trial_id, self.oracle.objective
        fits = as_returned(self._fits.pop(trial_id, None), results)
        if knows_already(self.oracle, trial_id):
            return
        if fits:
            self._fits[trial_id] = fits
            metrics, step = told_by_score(self._score(fits), objective.name)
        else:
            metrics, step = told_by_results(results, objective)
        self.oracle.update_trial(trial_id, metrics, step=step)

    def _try_run_and_update_trial(
        self, trial: Any, *fit_args: Any, **fit_kwargs: Any
    ) -> None:
        """Run a trial; whatever it fails of is kept, and the search goes on."""
        self._fits.pop(trial.trial_id, None)
        start = time.perf_counter()
        self._settle(
            trial,
            lambda: self._run_and_update_trial(trial, *fit_args, **fit_kwargs),
            lambda: time.perf_counter() - start,
        )

    def _settle(
        self, trial: Any, work: Callable[[], None], seconds: Callable[[], float]
    ) -> None:
        attempt = self._attempt_of(trial)
        trial.status, status, message = verdict(work)
        trial.message = message or None
        self._write_record(trial, status, message, attempt, seconds())

    def on_trial_begin(self, trial: Any) -> None:
        """Tell the trackers that a trial begins."""
        super().on_trial_begin(trial)
        self.trackers.trial_started(trial.trial_id, dict(trial.hyperparameters.values))

    def on_trial_end(self, trial: Any) -> None:
        """Close a trial and tell the trackers."""
        record = TrialRecord.read(Path(self.get_trial_dir(trial.trial_id)))
        super().on_trial_end(trial)
        self._fits.pop(trial.trial_id, None)
        if record is not None:
            self._retention.ended(record)
            self.trackers.trial_ended(record)

    # -- files ---

    def _configure_tensorboard_dir(self, *args: Any, **kwargs: Any) -> None:
        """Leave it: the engine gives each training's TensorBoard its own folder."""

    def _write_record(
        self, trial: Any, status: str, message: str, attempt: int, seconds: float
    ) -> None:
        fits = self._fits.get(trial.trial_id, ())
        score = self._score(fits) if fits and status == "completed" else None
        reported = self.oracle.get_trial(trial.trial_id).metrics
        outcome = (status, message, attempt, seconds)
        record = record_of(trial, self.oracle.objective, fits, score, reported, outcome)
        record.write(Path(self.get_trial_dir(trial.trial_id)))

    # -- what one trial needs ---

    @property
    def _uses_folds(self) -> bool:
        return self._cv_given is not None or self._preprocessor_given is not None

    def _score(self, fits: tuple[FoldFit, ...]) -> TrialScore:
        return aggregate(
            fits, self.oracle.objective, epoch_selection=self.epoch_selection
        )

    def _attempt_of(self, trial: Any) -> int:
        attempts = getattr(self.oracle, "attempts", None)
        if attempts is not None:
            return int(attempts(trial.trial_id))
        # A worker cannot ask its chief; the folder they share knows.
        record = TrialRecord.read(Path(self.get_trial_dir(trial.trial_id)))
        return 0 if record is None else record.attempt + 1

    def _training_data(
        self, inputs: Mapping[str, Any], groups: Any
    ) -> tuple[TrainingData, Folds]:
        # The very objects: others may come to lie where one of them was.
        given = (*map(inputs.get, ("x", "y", "sample_weight")), groups)
        if self._cut is not None:
            known, data, folds = self._cut
            if all(one is other for one, other in zip(known, given, strict=True)):
                return data, folds
        if self._is_worker() and not self._shares_folds:
            raise SearchError(
                "seed must be given when several workers share folds, but got "
                "seed=None: each worker would cut its own."
            )
        data, folds = cut_rows(
            inputs,
            groups,
            cv=self._cv_given,
            seed=self.search_seed,
            preprocessor=self._preprocessor_given,
            factory=self._factory(),
        )
        self._cut = (given, data, folds)
        return data, folds

    def _populate_initial_space(self) -> None:
        preprocessor = self._preprocessor_given
        if callable(preprocessor) and not hasattr(preprocessor, "fit"):
            hp = self.oracle.get_space()
            preprocessor(hp)
            self.oracle.update_space(hp)
        super()._populate_initial_space()

    def check_deadline(self) -> None:
        """End the search if its time or its epochs are spent."""
        if self.budget.is_over:
            raise SearchStopped


def _keeps_run_trial(cls: type[FoldTuner]) -> bool:
    inherited = (FoldTuner.run_trial, keras_tuner.Hyperband.run_trial)
    return cls.run_trial in inherited
