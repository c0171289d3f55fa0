"""Strict YAML reader for configurations: no aliases, no repeated keys, dates stay texts."""

from collections.abc import Hashable
from typing import Any

import yaml

# What PyYAML's constructors raise for values such as 0x_, 2026-02-30 or !!int x, and for keys that are no scalars.
_CONSTRUCTOR_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


def load_yaml(text: str) -> Any:  # noqa: ANN401 - whatever a document holds
    """Return the content of a YAML document; dates stay texts.

    Raises ValueError with the place for broken YAML, aliases, repeated keys and unreadable values.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except RecursionError as error:
        raise ValueError("nested too deeply; this is no configuration of orgmfa") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"not usable YAML: {place}{problem or str(error).splitlines()[0]}") from error
    except _CONSTRUCTOR_ERRORS as error:
        message = "a value cannot be read as the kind it looks like, or a key is no text: put it in quotes"
        raise ValueError(message) from error


class _StrictLoader(yaml.SafeLoader):
    """YAML loader that refuses aliases and repeated keys: both hide from a reader what a file says."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str) or key in seen:
                problem = f"the key {key!r} is {'given twice' if key in seen else 'not a text'}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# A date stays a text, so that the error for one that does not exist names its key.
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
