"""Takes recordings out of a Festival unit-selection voice: its catalogue of units and its selection trees.

Only the two text files of the voice; which recordings go is decided by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tritone_acoustic.data.errors import TrainingDataError

Node = Any  # an atom (str) or a list of nodes
_TOKEN = re.compile(r';[^\n]*|[()\']|"[^"]*"|[^\s()\';]+')


def parse(text: str) -> list[Node]:
    """Reads Lisp data.

    Args:
        text: expressions; comments are dropped and quote marks ignored.

    Returns:
        The expressions as nested lists of atoms.

    Raises:
        TrainingDataError: the parentheses do not match.
    """
    stack: list[list[Node]] = [[]]
    for match in _TOKEN.finditer(text):
        atom = match.group()
        if atom == "(":
            stack.append([])
        elif atom == ")":
            done = stack.pop()
            if not stack:
                raise TrainingDataError("a selection tree has a parenthesis too many: fetch the package again")
            stack[-1].append(done)
        elif atom != "'" and not atom.startswith(";"):
            stack[-1].append(atom)
    if len(stack) != 1:
        raise TrainingDataError("a selection tree lacks a parenthesis: fetch the package again")
    return stack[0]


def write(node: Node) -> str:
    """Writes Lisp data.

    Args:
        node: an atom or nested lists.

    Returns:
        The expression on one line.
    """
    return node if isinstance(node, str) else f"({' '.join(write(part) for part in node)})"


def drop_from_catalogue(text: str, dropped: Callable[[str], bool]) -> tuple[str, frozenset[str]]:
    """Removes the units of some recordings from a unit catalogue.

    Args:
        text: the catalogue: a header, then "unit recording start middle end" lines.
        dropped: says of a recording's name whether it goes.

    Returns:
        The smaller catalogue and the names of the units that are left, such as "pau_12".
    """
    header, mark, body = text.partition("EST_Header_End\n")
    lines = [line for line in body.splitlines() if line.strip() and not dropped(line.split()[1])]
    header = re.sub(r"(?m)^NumEntries .*$", f"NumEntries {len(lines)}", header)
    return f"{header}{mark}" + "".join(f"{line}\n" for line in lines), frozenset(line.split()[0] for line in lines)


def _prune(node: Node, units: frozenset[str], prefix: str) -> Node | None:
    """Returns a decision tree without some units, or None if nothing is left of it."""
    if len(node) == 1:  # a leaf: ((candidates mean))
        candidates, mean = node[0]
        left = [unit for unit in candidates if f"{prefix}_{unit[0]}" in units]
        return [[left, mean]] if left else None
    question, yes, no = node
    answers = _prune(yes, units, prefix), _prune(no, units, prefix)
    if answers[0] is None or answers[1] is None:
        return answers[1] if answers[0] is None else answers[0]  # the question decides nothing any more
    return [question, *answers]


def drop_from_trees(text: str, units: frozenset[str]) -> str:
    """Removes units from selection trees.

    Args:
        text: `(set! clunits_selection_trees '((TYPE tree) ...))`, where a leaf names units by number.
        units: the units that stay, such as "pau_12" for number 12 of type "pau".

    Returns:
        The smaller file; a type of which no unit is left is gone.
    """
    ((command, variable, trees),) = parse(text)
    result: list[Node] = []
    for name, tree in trees:
        prefix = str(name).strip('"')
        pruned = _prune(tree, units, prefix)
        if pruned is not None:
            result.append([name, pruned])
    body = "\n".join(write(tree) for tree in result)
    return f"({write(command)} {write(variable)} '(\n{body}\n))\n"
