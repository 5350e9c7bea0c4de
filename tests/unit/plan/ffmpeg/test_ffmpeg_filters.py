"""Filters as text: what is in an option reaches the filter unchanged."""

import pytest

from reelmill_server.plan.ffmpeg.filters import Chain, Graph, decimal, described, option


def test_separators_in_arguments_are_escaped() -> None:
    """Those of a graph, once; those of options, before that."""
    assert described(("select=gt(t,1)", "format=rgba")) == r"select=gt(t\,1),format=rgba"
    assert described((f"drawtext=text={option('it' + chr(39) + 's: a')}",)) == r"drawtext=text=it\\\'s\\: a"


def test_a_graph_names_each_chain_once() -> None:
    """Streams of inputs and labels are written alike."""
    graph = Graph()
    first = graph.close(Chain(("0:1",)), "anull")
    second = graph.close(Chain((first, "1:0"), ("amix=inputs=2",)), "anull")
    assert graph.text == f"[0:1]anull[{first}];[{first}][1:0]amix=inputs=2[{second}]"


@pytest.mark.parametrize(("value", "text"), [(1.5, "1.5"), (0, "0"), (100, "100"), (1 / 3, "0.333333"), (-0.04, "-0.04")])
def test_numbers_have_no_more_digits_than_they_need(value: float, text: str) -> None:
    """And six after the point at most."""
    assert decimal(value) == text
