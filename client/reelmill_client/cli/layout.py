"""Lay out what is printed: lines, tables, and pairs of names and values."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from reelmill_client.cli.session import Session


def print_line(session: Session, text: str) -> None:
    """Print a line as it is, so that URIs and ids can be copied from it: the terminal wraps it, nothing else does."""
    session.out.print(text, soft_wrap=True)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]], whole: Sequence[str] = ()) -> Table:
    """Return a table whose columns fold where they must, but for those in `whole`."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for title in columns:
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for row in rows:
        table.add_row(*row)
    return table


def print_pairs(session: Session, rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair per row, without those that have no value."""
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        if value and value != "-":
            table.add_row(name, value)
    session.out.print(table)
