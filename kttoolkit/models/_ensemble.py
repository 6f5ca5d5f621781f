"""The mean of several models, as one model."""

from collections.abc import Mapping
from typing import Any

import keras

from kttoolkit.exceptions import ResultError


def averaged(models: Mapping[int, keras.Model]) -> keras.Model:
    """Average the outputs of fold models.

    Args:
        models: split numbers to models with the same inputs; at least one. They
            become parts of the new model, and are no longer compiled.

    Returns:
        A model named "ensemble", compiled as they were.

    Raises:
        ResultError: if the models do not declare their inputs.
    """
    members, config = [], None
    for split, member in models.items():
        member.name = f"split{split}"
        config = member.get_compile_config()
        # Its state, saved inside another model, could not be read back.
        member.compiled, member.optimizer = False, None
        members.append(member)
    inputs = keras.tree.map_structure(
        lambda t: keras.Input(t.shape[1:], dtype=t.dtype), _inputs_of(members[0])
    )
    outputs = [member(inputs) for member in members]
    mean = outputs[0]
    if len(outputs) > 1:
        mean = keras.tree.map_structure(
            lambda *parts: keras.layers.Average()(list(parts)), *outputs
        )
    model = keras.Model(inputs, mean, name="ensemble")
    if config:
        model.compile_from_config(config)
    return model


def _inputs_of(model: keras.Model) -> Any:
    # Models that are classes of the user's own have no such attribute.
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ResultError(
            "An ensemble needs models with declared inputs, but "
            f"{type(model).__name__} has none. Build it as keras.Model(inputs, "
            "outputs), with inputs = keras.Input(shape=...)."
        )
    # A Sequential model that was never called has no `input`, but always one.
    return getattr(model, "input", inputs[0] if len(inputs) == 1 else inputs)
