"""Example requests to start from."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from reelmill_client.cli.session import session_of
from reelmill_client.errors import InvalidArgument

_FOLDER = resources.files("reelmill_client.cli") / "examples"
_MEDIA = "file:///media"  # as the files name it
_SOURCE_URI = re.compile(r"(?<=uri: )\S+")
_NAME = typer.Argument(metavar="NAME", help="Which example. Default: a list of them.")
_SOURCE = typer.Option(metavar="FILE", help="File to convert, instead of the example's.")


def example(
    context: typer.Context, name: Annotated[str | None, _NAME] = None, source: Annotated[Path | None, _SOURCE] = None
) -> None:
    """Print a request to start from, for files in the current folder: reelmill example hls > request.yaml."""
    texts = {entry.name.removesuffix(".yaml"): entry.read_text("utf-8") for entry in _FOLDER.iterdir()}
    if name is None:
        for known in sorted(texts):
            first_line = texts[known].splitlines()[0].removeprefix("# ")
            session_of(context).out.print(f"{known:<10} {first_line}", soft_wrap=True)
    elif name in texts:
        text = texts[name]
        if source is not None:  # the first URI of an example is that of its first source
            text = _SOURCE_URI.sub(lambda _: source.absolute().as_uri(), text, count=1)
        print(text.replace(_MEDIA, Path.cwd().as_uri()), end="")
    else:
        raise InvalidArgument(f"there is no example {name!r}; there are {', '.join(sorted(texts))}")
