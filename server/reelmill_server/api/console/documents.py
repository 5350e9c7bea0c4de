"""Requests that people paste: JSON or YAML."""

import json
from typing import Any

import yaml

from reelmill_server.api.http.codecs import read_object
from reelmill_server.errors import InvalidArgument, LimitExceeded

MOST_CHARACTERS = 256 * 1024
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(text: str) -> dict[str, object]:
    """Return the object that a text describes. Raises InvalidArgument or LimitExceeded.

    References of YAML are refused: a few lines of them unfold to gigabytes.
    """
    if len(text) > MOST_CHARACTERS:
        raise LimitExceeded(f"the request has more than {MOST_CHARACTERS} characters: send it by the API")
    if text.lstrip().startswith("{"):
        return read_object(text)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_LOADER)):
            raise InvalidArgument("references (*name) are not read here: write the values out")
        value = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise InvalidArgument(f"the request is not YAML: {' '.join(str(error).split())[:200]}") from None
    except RecursionError:
        raise InvalidArgument("the request is nested too deeply") from None
    try:
        return read_object(json.dumps(value))
    except (TypeError, ValueError):
        raise InvalidArgument("the request has a value that JSON has no form for: put it in quotes") from None
