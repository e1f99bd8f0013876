"""Numbers that went through a protobuf ``Struct``: there they are all doubles, here whole ones are integers again."""

from typing import Any


def whole(value: Any) -> Any:
    """``value`` with every whole float in it, at any depth, as an integer."""
    if isinstance(value, dict):
        return {key: whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
