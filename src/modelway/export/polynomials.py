"""PolynomialFeatures, with the factors multiplied in scikit-learn's order: equal to the last bit."""

from itertools import combinations, combinations_with_replacement
from typing import Any

from modelway.export.block import Block, block, numbers
from modelway.export.graph import GraphBuilder


def polynomial(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """All products of up to `degree` columns: x₀ · (x₁ · (x₂ …)), one degree on top of the last."""
    values = numbers(graph, columns)
    low, high = step.degree if isinstance(step.degree, tuple) else (0, int(step.degree))
    made: Block = ()
    if step.include_bias:
        gone = graph.op("IsNaN", graph.op("Gather", values, graph.constant([0]), axis=1))
        ones = graph.op("Where", gone, graph.row([1.0]), graph.row([1.0]))
        made = block(ones, "number", [None])
    return made + _products(graph, step.interaction_only, columns, values, low, high)


def _products(graph: GraphBuilder, interaction_only: bool, columns: Block, values: str, low: int, high: int) -> Block:
    chosen = combinations if interaction_only else combinations_with_replacement
    terms = list(chosen(range(len(columns)), 1))
    made = columns if low <= 1 <= high else ()
    below, tensor = {term: place for place, term in enumerate(terms)}, values
    for degree in range(2, high + 1):
        terms = list(chosen(range(len(columns)), degree))
        if not terms:
            break
        first = graph.op("Gather", values, graph.constant([term[0] for term in terms]), axis=1)
        others = graph.op("Gather", tensor, graph.constant([below[term[1:]] for term in terms]), axis=1)
        tensor = graph.op("Mul", others, first)
        below = {term: place for place, term in enumerate(terms)}
        if degree >= low:
            made += block(tensor, "number", [None] * len(terms))
    return made
