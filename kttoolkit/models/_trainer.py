"""What makes models from a study: retrained, averaged, scored on new rows."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pandas as pd

from kttoolkit.cv import (
    Folds,
    as_transformer,
    fit_transformed,
    prepare,
    transformed,
)
from kttoolkit.data import TrainingData, as_training_data, by_class_number, take
from kttoolkit.engine import FitPlan, ModelFactory, best_file, publish, restore
from kttoolkit.evaluate import evaluate
from kttoolkit.exceptions import ResultError
from kttoolkit.exporting import (
    Recipe,
    RowForm,
    Trained,
    check_target,
    recorded,
    write_folder,
    write_python,
)
from kttoolkit.files import write_json
from kttoolkit.hyperparameters import HyperParameters, check_names, completed
from kttoolkit.locks import owned
from kttoolkit.models._ensemble import averaged
from kttoolkit.models._predictions import predict, prediction_frame
from kttoolkit.plain import shown
from kttoolkit.results import Study, TrialRecord, TuneResult, read_records
from kttoolkit.scoring import aggregate, best_index, numbers_of

ADDED = "added"
_REFIT_KEY = 0x5EF17


@dataclass(frozen=True)
class StudyTrainer:
    """Knows the build function and the rows of a study.

    Attributes:
        factory: builds the models.
        data: the rows that the folds were cut from.
        folds: how they were cut, or None where nothing was cut.
        preprocessor: as `tune` was given it.
        fit_kwargs: arguments of `fit` that the search used for every trial.
        rows: original numbers of `data`'s rows, of shape (n_samples,), or None.
        callbacks: that the search trained with, copied for each training.
    """

    factory: ModelFactory
    data: TrainingData | None = None
    folds: Folds | None = None
    preprocessor: Any = None
    fit_kwargs: dict[str, Any] = field(default_factory=dict)
    rows: np.ndarray | None = None
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    _refitted: dict[str, tuple[keras.Model, Any]] = field(default_factory=dict)

    def fit_best(
        self, result: TuneResult, x: Any = None, y: Any = None, **fit_kwargs: Any
    ) -> tuple[keras.Model, Any]:
        """Train the best setting on all rows.

        Args:
            result: names the setting and the number of epochs.
            x: rows, or None for those of the search.
            y: their targets.
            **fit_kwargs: replace those of the search.

        Returns:
            The model, and the preprocessor fitted on the same rows or None.
        """
        data = self.rows_like_those_of_the_search(result, x, y)
        hp = result.best_hyperparameters
        keras.utils.set_random_seed(_refit_seed(result.study.seed))
        inputs, transformer = self._transformed(data, hp)
        model = self.factory.build(hp, inputs)
        self._fit(result, hp, model, inputs, data, **fit_kwargs)
        return model, transformer

    def ensemble(self, result: TuneResult) -> keras.Model:
        """Average the fold models of the best trial in one model.

        Args:
            result: names the trial.

        Returns:
            A compiled model.

        Raises:
            ResultError: if the folds' inputs differ by a fitted preprocessor, or the
                model declares none.
        """
        if self.preprocessor is not None:
            raise ResultError(
                "An ensemble needs folds with the same inputs, but each fold fitted "
                f"its own {self.preprocessor!r}. Use fit_best, or put the "
                "preprocessing into the model (keras.layers.Normalization)."
            )
        best = result.best_trial
        return averaged(
            {fit.split: self._fold_model(result, best, fit.split) for fit in best.fits}
        )

    def evaluate(
        self, result: TuneResult, x: Any, y: Any, model: str = "refit"
    ) -> dict[str, float]:
        """Score the best setting on rows that the search never saw.

        Args:
            result: names the setting.
            x: rows in the form that `tune` took.
            y: their targets.
            model: "refit" or "ensemble".

        Returns:
            Metric names to values.

        Raises:
            ResultError: if `model` is neither.
        """
        rows = self.rows_like_those_of_the_search(result, x, y)
        trained, transformer = self._trained(result, model)
        inputs = rows.x if transformer is None else transformed(transformer, rows.x)
        scores = trained.evaluate(inputs, rows.y, verbose=0, return_dict=True)
        return numbers_of(scores)

    def refitted(self, result: TuneResult) -> tuple[keras.Model, Any]:
        """Train the best setting on the search's rows, once for each best trial.

        Args:
            result: names the setting.

        Returns:
            The model and its preprocessor.
        """
        key = result.best_trial.trial_id
        if key not in self._refitted:
            self._refitted[key] = self.fit_best(result)
        return self._refitted[key]

    def save_model(
        self, result: TuneResult, folder: Path, *, model: str, overwrite: bool
    ) -> Path:
        """Save the best model; see `TuneResult.save_model`."""
        data = self.rows_like_those_of_the_search(result)
        is_preprocessed = self.preprocessor is not None
        rows = RowForm.of(data, is_preprocessed=is_preprocessed)
        check_target(folder, overwrite=overwrite)
        pair = self._trained(result, model)
        return write_folder(folder, Trained(*pair, rows, model), result)

    def to_python(self, result: TuneResult, path: Path) -> Path:
        """Write the best setting as a Python file; see `TuneResult.to_python`."""
        data = self.rows_like_those_of_the_search(result)
        hp = result.best_hyperparameters
        inputs, _ = self._transformed(data, hp)
        fit = partial(self._fit, result, hp, inputs=inputs, data=data)
        build, seed = (
            partial(self.factory.build, hp, inputs),
            _refit_seed(result.study.seed),
        )
        transformer = as_transformer(self.preprocessor, hp)
        arguments = recorded(fit, inputs, data.y)
        recipe = Recipe(build, seed, data, transformer, arguments)
        return write_python(path, recipe, result)

    def _trained(self, result: TuneResult, model: str) -> tuple[keras.Model, Any]:
        if model == "ensemble":
            return self.ensemble(result), None
        if model == "refit":
            return self.refitted(result)
        raise ResultError(
            f"model must be 'refit' or 'ensemble', but got {shown(model)}."
        )

    def out_of_fold(self, result: TuneResult) -> pd.DataFrame:
        """Predict every row by a model that was not trained on it.

        Args:
            result: names the trial.

        Returns:
            One row for each row of each fold.

        Raises:
            ResultError: if no folds were cut.
        """
        if self.folds is None or self.data is None:
            raise ResultError(
                "Out-of-fold predictions need folds, but the search ran with "
                f"{result.study.cv}."
            )
        hp = result.best_hyperparameters
        frames = []
        for split, fold in enumerate(self.folds):
            part = prepare(fold, self.data, self.folds, self.preprocessor, hp)
            model = self._fold_model(result, result.best_trial, split, part.test.x)
            predicted = predict(model, part.test)
            rows = fold.test if len(fold.test) else np.arange(part.test.n_samples)
            if self.rows is not None and len(fold.test):
                rows = self.rows[rows]
            frames.append(prediction_frame(part.test, predicted, rows, split))
        return pd.concat(frames, ignore_index=True)

    def add(self, result: TuneResult, settings: Iterable[Mapping[str, Any]]) -> None:
        """Score further settings as the search scored its own.

        Args:
            result: whose study they are added to.
            settings: hyperparameter names to values.

        Raises:
            ResultError: if the rows of the search are not known, or a setting is no
                dictionary.
        """
        if self.data is None or self.folds is None:
            raise ResultError(
                "Settings are scored on the folds of the search, but its rows are not "
                "known here. Open it with load_result(..., build=build, x=x, y=y)."
            )
        space = result.best_hyperparameters
        known = [hp.name for hp in space.space]
        for number, setting in enumerate(settings := list(settings)):
            _check_setting(setting, number)
            if not self.factory.has_own_fit:
                check_names(setting, known, f"settings[{number}]")
        with owned(result.directory):
            # Of the folder, to which others may have added since it was read.
            records = read_records(result.directory)
            number = sum(record.trial_id.startswith(ADDED) for record in records)
            for place, setting in enumerate(settings, start=number):
                hp = HyperParameters()
                hp.merge(space)
                hp.values = completed(space, setting)
                self._score(result.study, hp, f"{ADDED}{place}", result.directory)

    def _score(
        self, study: Study, hp: HyperParameters, trial_id: str, directory: Path
    ) -> None:
        """Train the folds of one setting and put it on record."""
        folds: Any = self.folds
        objective = keras_tuner.Objective(study.objective, study.direction)
        folder = directory / f"trial_{trial_id}"
        folder.mkdir(parents=True, exist_ok=True)
        plan = FitPlan(
            objective=objective,
            seed=study.seed,
            executions=study.n_splits // len(folds),
            preprocessor=self.preprocessor,
            fit_kwargs={"verbose": 0, "epochs": study.max_epochs, **self.fit_kwargs},
            callbacks=self.callbacks,
            label=trial_id,
            directory=str(folder),
        )
        began = time.perf_counter()
        outcome = evaluate(self.factory, hp, self.data, folds, plan)
        selection: Any = study.epoch_selection
        score = aggregate(outcome.fits, objective, epoch_selection=selection)
        publish(str(folder), best_index(score.splits[objective.name], study.direction))
        trial = keras_tuner.engine.trial.Trial(
            outcome.hyperparameters, trial_id, status="COMPLETED"
        )
        trial.score = score.means[objective.name]
        write_json(folder / "trial.json", trial.get_state())
        TrialRecord(
            trial_id=trial_id,
            values=dict(outcome.hyperparameters.values),
            status="completed",
            seconds=time.perf_counter() - began,
            ended=time.time(),
            objective=study.objective,
            direction=study.direction,
            metrics=dict(score.means),
            splits=dict(score.splits),
            epochs=score.epochs,
            fits=outcome.fits,
        ).write(folder)

    def rows_like_those_of_the_search(
        self, result: TuneResult, x: Any = None, y: Any = None
    ) -> TrainingData:
        """Check rows and bring them into the form that the models were built for.

        Args:
            result: of the search.
            x: rows in the form that `tune` took, or None for those of the search.
            y: their targets.

        Returns:
            The rows, columns and classes numbered as in the search.

        Raises:
            ResultError: if x is None and the rows of the search are not known, or y
                is None and the search had targets.
        """
        if x is None:
            if self.data is None:
                raise ResultError(
                    "Rows are needed to train on, but this result has none: it was "
                    "opened without them, or its search took a dataset. Pass x and y, "
                    "or the dataset to fit_best, whose model can be saved."
                )
            return self.data
        task = None if self.data is None else self.data.task
        rows = as_training_data(
            x,
            y,
            task="regression" if task == "regression" else None,
            preprocessed_later=self.preprocessor is not None,
            like=self.data,
        )
        if rows.indexable and rows.y is None and self._has_targets(result):
            raise ResultError(
                f"Rows need their targets, as in the search ({result.study.task}), but "
                "got y=None. Pass x and y together."
            )
        return rows

    def _has_targets(self, result: TuneResult) -> bool:
        if self.data is None:
            # Those of another task may lie in the model: an autoencoder's are its x.
            return result.study.task != "other"
        return self.data.y is not None

    def _transformed(
        self, data: TrainingData, hp: keras_tuner.HyperParameters
    ) -> tuple[Any, Any]:
        transformer = as_transformer(self.preprocessor, hp)
        if transformer is None:
            return data.x, None
        targets = data.y if data.labels is None else data.labels
        return fit_transformed(transformer, data.x, targets), transformer

    def _fit(
        self, result: Any, hp: Any, model: Any, inputs: Any, data: Any, **given: Any
    ) -> None:
        """Train as the search did, but on all rows and without its callbacks."""
        given = by_class_number(given, data)
        own = {"epochs": result.best_epochs, "callbacks": [], **given}
        if data.sample_weight is not None:
            own["sample_weight"] = data.sample_weight
        targets = () if data.y is None else (data.y,)
        arguments = {"verbose": 0, **self.fit_kwargs, **own}
        self.factory.hypermodel.fit(hp, model, inputs, *targets, **arguments)

    def _fold_model(
        self, result: TuneResult, trial: TrialRecord, split: int, rows: Any = None
    ) -> keras.Model:
        model = self.factory.build(result.best_hyperparameters, rows)
        sample = None if self.data is None else take(self.data.x, np.arange(1))
        path = best_file(result.trial_directory(trial), split)
        if not path.exists():
            raise ResultError(
                f"The weights of trial {trial.trial_id} must have been kept, but "
                f"{path} is missing. Search with keep_checkpoints=1 or more; fit_best "
                "trains the setting anew."
            )
        restore(model, path, sample, optimizer=False)
        return model


def _refit_seed(seed: int) -> int:
    return int(
        np.random.SeedSequence(seed, spawn_key=(_REFIT_KEY,)).generate_state(1)[0] >> 1
    )


def _check_setting(setting: Any, number: int) -> None:
    if not isinstance(setting, Mapping):
        raise ResultError(
            "A setting must be a dictionary of hyperparameter names to values, but got "
            f"settings[{number}]={shown(setting)}. Pass several one after the other: "
            "result.add({...}, {...})."
        )
