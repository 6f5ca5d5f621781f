"""The network of a model written as the layers that make it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Call, Node, call, flat, lines, listed
from kttoolkit.exporting._objects import (
    construction,
    expression,
    own_name,
    unwritable,
)
from kttoolkit.exporting._state import drawn_seeds, learned_arguments
from kttoolkit.results import as_code

_INDENT = 4
_TENSOR = "__keras_tensor__"


@dataclass
class GraphWriter:
    """Writes networks as functions, and those inside them as functions before.

    Attributes:
        kept: names of layers that losses and metrics go by.
        says_seeds: whether to write the seeds of initial weights and dropout.
        functions: lines of those written so far.
    """

    kept: frozenset[str] = frozenset()
    says_seeds: bool = False
    functions: list[list[str]] = field(default_factory=list)

    def network(self, model: keras.Model) -> list[str]:
        """Write the lines that make a network and call it `model`.

        Args:
            model: Sequential, or made of inputs and outputs.

        Returns:
            Lines of a function's body.

        Raises:
            ResultError: if it is a model of another class.
        """
        kind = f"{type(model).__module__}.{type(model).__name__}"
        if not kind.startswith("keras."):
            raise ResultError(
                unwritable(f"it is a model class of your own, {type(model).__name__}")
            )
        config = model.get_config()
        state = {"class_name": type(model).__name__, "config": config}
        if isinstance(model, keras.Sequential):
            return lines(self._sequential(model, state), "model = ", indent=_INDENT)
        if "input_layers" not in config:
            raise ResultError(
                unwritable(f"it is a {kind}, which is made of no inputs and outputs")
            )
        return _Graph(self, model, config, own_name(state)).body()

    def layer(self, state: Mapping[str, Any], layer: Any) -> Node:
        """Write the call that makes a layer.

        Args:
            state: the layer as Keras serialises it.
            layer: itself, for what is not in its config.

        Returns:
            The call.
        """
        kind = state["class_name"]
        if isinstance(layer, keras.Sequential):
            return self._sequential(layer, state)
        if isinstance(layer, keras.Model):
            name = f"make_{_identifier(layer.name)}"
            body = self.network(layer)
            self.functions.append([f"def {name}():", *body, "    return model"])
            return f"{name}()"
        if kind == "InputLayer":
            return self._input(state)
        seeds = drawn_seeds(layer, state["config"]) if self.says_seeds else {}
        return construction(
            state,
            seeds=seeds,
            known=learned_arguments(layer, state),
            name=self._name(state),
        )

    def _sequential(self, model: keras.Sequential, state: Mapping[str, Any]) -> Call:
        by_name = {layer.name: layer for layer in model.layers}
        layers = [
            self.layer(entry, by_name.get(entry["config"].get("name")))
            for entry in state["config"]["layers"]
        ]
        name = own_name(state)
        named = {} if name is None else {"name": as_code(name)}
        return call("keras.Sequential", listed(layers, is_long=True), **named)

    def _input(self, state: Mapping[str, Any]) -> Call:
        config = state["config"]
        size, *shape = config["batch_shape"]
        said: dict[str, Node] = {}
        if size is not None:
            said["batch_size"] = as_code(size)
        if config["dtype"] != keras.config.floatx():
            said["dtype"] = as_code(config["dtype"])
        for flag in ("sparse", "ragged", "optional"):
            if config.get(flag):
                said[flag] = "True"
        # Keras names an input after its layer, or after its tensor.
        if not re.fullmatch(r"(input_layer|keras_tensor)(_\d+)?", config["name"]):
            said["name"] = as_code(config["name"])
        return call("keras.Input", as_code(tuple(shape)), **said)

    def _name(self, state: Mapping[str, Any]) -> str | None:
        name = state["config"].get("name")
        return name if name in self.kept else own_name(state)


@dataclass
class _Graph:
    """The statements of one network of inputs and outputs."""

    writer: GraphWriter
    model: keras.Model
    config: Mapping[str, Any]
    name: str | None
    entries: dict[str, Mapping[str, Any]] = field(init=False)
    order: list[tuple[str, int]] = field(default_factory=list)
    variables: dict[tuple[str, int], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {entry["name"]: entry for entry in self.config["layers"]}

    def body(self) -> list[str]:
        """Write each layer behind those that it is called on."""
        made = [(n, i) for n, i, _ in _keys(self.config["output_layers"])]
        inputs = [(n, i) for n, i, _ in _keys(self.config["input_layers"])]
        self.order = [*inputs]
        earlier = self._made_before()
        for key in made:
            self._visit(key, earlier, set())
        self._name_variables(inputs, made)
        statements: list[str] = []
        for key in self.order:
            statements += self._statement(key)
        named = {} if self.name is None else {"name": as_code(self.name)}
        model = call(
            "keras.Model",
            self._structure(self.config["input_layers"]),
            self._structure(self.config["output_layers"]),
            **named,
        )
        return [*statements, *lines(model, "model = ", indent=_INDENT)]

    def _visit(
        self,
        key: tuple[str, int],
        earlier: Mapping[str, str],
        open_keys: set[tuple[str, int]],
    ) -> None:
        if key in self.order or key in open_keys:
            return
        open_keys.add(key)
        before = earlier.get(key[0])
        if before is not None:
            self._visit((before, 0), earlier, open_keys)
        for reference in self._references(key):
            self._visit(reference[:2], earlier, open_keys)
        self.order.append(key)

    def _made_before(self) -> dict[str, str]:
        """Return for each layer the one of its kind that was made before it.

        Random numbers are drawn in that order.
        """
        numbered: dict[str, list[tuple[int, str]]] = {}
        for name, entry in self.entries.items():
            if own_name(entry) is None:
                number = re.search(r"_(\d+)$", name)
                place = int(number.group(1)) if number else 0
                numbered.setdefault(entry["class_name"], []).append((place, name))
        pairs: dict[str, str] = {}
        for layers in numbered.values():
            names = [name for _, name in sorted(layers)]
            pairs.update(zip(names[1:], names, strict=False))
        return pairs

    def _node(self, key: tuple[str, int]) -> Mapping[str, Any]:
        nodes = self.entries[key[0]]["inbound_nodes"]
        return nodes[key[1]] if nodes else {"args": [], "kwargs": {}}

    def _references(self, key: tuple[str, int]) -> list[tuple[str, int, int]]:
        node = self._node(key)
        return list(_tensors([node["args"], node["kwargs"]]))

    def _name_variables(
        self, inputs: list[tuple[str, int]], outputs: list[tuple[str, int]]
    ) -> None:
        """Call a tensor x where the next layer alone takes it."""
        place = {key: number for number, key in enumerate(self.order)}
        takers: dict[tuple[str, int], set[int]] = {key: set() for key in self.order}
        for key in self.order:
            for reference in self._references(key):
                takers[reference[:2]].add(place[key])
        for key in outputs:
            takers[key].add(len(self.order))
        taken = {"x", "inputs", "outputs", "model", "keras"}
        for key in self.order:
            if key in inputs and len(inputs) == 1:
                name = "inputs"
            elif takers[key] == {place[key] + 1} and key not in inputs:
                name = "outputs" if key in outputs else "x"
            else:
                name = _unused(self._plain_name(key[0]), taken)
            self.variables[key] = name

    def _plain_name(self, layer: str) -> str:
        if own_name(self.entries[layer]) is None:
            layer = re.sub(r"_\d+$", "", layer)
        return _identifier(layer)

    def _statement(self, key: tuple[str, int]) -> list[str]:
        entry, variable = self.entries[key[0]], self.variables[key]
        if entry["class_name"] == "InputLayer":
            made = self.writer.layer(entry, None)
            return lines(made, f"{variable} = ", indent=_INDENT)
        node = self._node(key)
        if entry["class_name"] == "GetItem":
            taken = self._value(node["args"][0])
            made = f"{flat(taken)}[{_subscript(node['args'][1])}]"
            return lines(made, f"{variable} = ", indent=_INDENT)
        args = [self._value(arg) for arg in node["args"]]
        kwargs = {
            k: self._value(v) for k, v in node["kwargs"].items() if _is_said(k, v)
        }
        if str(entry.get("module")).startswith("keras.src.ops"):
            return lines(self._operation(entry, args, kwargs), f"{variable} = ",
                         indent=_INDENT)  # fmt: skip
        layer = self.model.get_layer(key[0])
        if len(entry["inbound_nodes"]) > 1:
            shared = f"{self._plain_name(key[0])}_layer"
            made = self.writer.layer(entry, layer)
            start = lines(made, f"{shared} = ", indent=_INDENT) if not key[1] else []
            applied = call(shared, *args, **kwargs)
            return [*start, *lines(applied, f"{variable} = ", indent=_INDENT)]
        on = (
            flat(call("", *args, **kwargs))
            if kwargs
            else f"({', '.join(map(flat, args))})"
        )
        made = self.writer.layer(entry, layer)
        if isinstance(made, Call) and made.parts:
            applied = Call(made.head, made.parts, made.brackets, on)
        else:
            applied = call(flat(made), *args, **kwargs)
        return lines(applied, f"{variable} = ", indent=_INDENT)

    def _operation(
        self, entry: Mapping[str, Any], args: list[Node], kwargs: Mapping[str, Node]
    ) -> Node:
        """Write an operation on tensors as the function of `keras.ops` it came from."""
        kind = entry["class_name"]
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
        if not hasattr(keras.ops, name):
            raise ResultError(
                unwritable(
                    f"it uses an operation that keras.ops does not offer, {kind}"
                )
            )
        config = {
            k: v for k, v in entry["config"].items() if k not in {"name", "dtype"}
        }
        dtype = entry["config"].get("dtype")
        if isinstance(dtype, str):
            config["dtype"] = dtype
        said = {k: expression(v) for k, v in config.items() if v is not None}
        return call(f"keras.ops.{name}", *args, **said, **kwargs)

    def _value(self, value: Any) -> Node:
        """Write an argument of a call, tensors by their variables."""
        if isinstance(value, Mapping) and value.get("class_name") == _TENSOR:
            return self._tensor(*value["config"]["keras_history"])
        if isinstance(value, list | tuple):
            brackets = "[]" if isinstance(value, list) else "()"
            return listed([self._value(part) for part in value], brackets)
        if isinstance(value, Mapping) and "class_name" not in value:
            parts = tuple((f"{as_code(k)}: ", self._value(v)) for k, v in value.items())
            return Call("", parts, "{}")
        return expression(value)

    def _tensor(self, name: str, node: int, place: int) -> str:
        variable = self.variables[name, node]
        return f"{variable}[{place}]" if self._is_several(name, node) else variable

    def _is_several(self, name: str, node: int) -> bool:
        every = [*_keys(self.config["output_layers"])]
        for entry in self.entries.values():
            every += _tensors(entry["inbound_nodes"])
        return any(key[:2] == (name, node) and key[2] for key in every)

    def _structure(self, layers: Any) -> Node:
        """Write inputs or outputs in the structure that they were given in."""
        if _is_key(layers):
            return self._tensor(*layers)
        if isinstance(layers, Mapping):
            parts = tuple(
                (f"{as_code(k)}: ", self._structure(v)) for k, v in layers.items()
            )
            return Call("", parts, "{}")
        return listed([self._structure(part) for part in layers])


def _is_said(name: str, value: Any) -> bool:
    """Leave out what a call was not told: Keras notes that nothing was trained then."""
    return value is not None and not (name == "training" and value is False)


def _subscript(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_subscript, value))
    if isinstance(value, Mapping) and value.get("class_name") == "__slice__":
        start, stop, step = (value["config"][k] for k in ("start", "stop", "step"))
        ends = ["" if end is None else as_code(end) for end in (start, stop)]
        return ":".join(ends if step is None else [*ends, as_code(step)])
    if isinstance(value, Mapping) and value.get("class_name") == "__ellipsis__":
        return "..."
    return as_code(value)


def _is_key(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and isinstance(
        value[0], str
    )  # fmt: skip


def _keys(layers: Any) -> Iterator[tuple[str, int, int]]:
    if _is_key(layers):
        yield tuple(layers)
        return
    for part in layers.values() if isinstance(layers, Mapping) else layers:
        yield from _keys(part)


def _tensors(value: Any) -> Iterator[tuple[str, int, int]]:
    if isinstance(value, Mapping):
        if value.get("class_name") == _TENSOR:
            yield tuple(value["config"]["keras_history"])
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _identifier(name: str) -> str:
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def _unused(name: str, taken: set[str]) -> str:
    chosen, number = name, 2
    while chosen in taken:
        chosen, number = f"{name}_{number}", number + 1
    taken.add(chosen)
    return chosen
