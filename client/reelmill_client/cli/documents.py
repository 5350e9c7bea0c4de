"""Request files: JSON or YAML, in the vendor's form or snake_case."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from reelmill_client.errors import InvalidArgument


def read_document(name: str) -> Mapping[str, object]:
    """Read the request in a file, or in standard input for `-`; raises InvalidArgument if it holds no object."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{name} is not a request: expected JSON or YAML in UTF-8") from error
    data = _parse(name, text)
    if not isinstance(data, Mapping):
        raise InvalidArgument(f"{name} must contain one object: the request")
    return data


def _parse(name: str, text: str) -> object:
    """Parse JSON or YAML. YAML includes nearly all of JSON, but its error messages mislead: .json files are read as JSON."""
    try:
        if Path(name).suffix.lower() == ".json" or text.lstrip().startswith("{"):
            return json.loads(text)
        return yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except yaml.YAMLError as error:
        raise InvalidArgument(f"{name} is not YAML: {' '.join(str(error).split())}") from error
