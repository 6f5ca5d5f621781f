"""What a layer drew and learned, which its config does not hold."""

from collections.abc import Mapping
from typing import Any

import keras

from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Node
from kttoolkit.exporting._objects import array_code, unwritable

_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")


def drawn_seeds(layer: Any, config: Mapping[str, Any]) -> dict[str, int]:
    """Return the seeds that a layer drew, by the argument that would have set them.

    Args:
        layer: that was made without seeds.
        config: its own.

    Returns:
        Arguments to seeds.
    """
    drawn = {}
    for key, value in config.items():
        is_initializer = isinstance(value, Mapping) and "seed" in value.get(
            "config", {}
        )
        seed = (
            getattr(getattr(layer, key, None), "seed", None) if is_initializer else None
        )
        if isinstance(seed, int):
            drawn[key] = seed
    generator = getattr(layer, "seed_generator", None)
    if "seed" in config and generator is not None:
        drawn["seed"] = int(keras.ops.convert_to_numpy(generator.state)[0])
    return drawn


def learned_arguments(layer: Any, state: Mapping[str, Any]) -> dict[str, Node]:
    """Return what a layer learned when it was adapted, which no config holds.

    Args:
        layer: adapted or not.
        state: the layer as Keras serialises it.

    Returns:
        Arguments to expressions.

    Raises:
        ResultError: if it is more than stands well in code.
    """
    config, kind = state["config"], state["class_name"]
    if kind == "Normalization" and config["mean"] is None and layer.built:
        parts = {"mean": layer.mean, "variance": layer.variance}
        return {
            name: array_code(keras.ops.convert_to_numpy(value).ravel(), layer.name)
            for name, value in parts.items()
        }
    if kind in _LOOKUPS and config.get("vocabulary") is None:
        if config.get("output_mode") == "tf_idf":
            raise ResultError(
                unwritable(f"layer {layer.name!r} has learned weights of words")
            )
        words = layer.get_vocabulary(include_special_tokens=False)
        return {"vocabulary": array_code(words, layer.name)}
    return {}
