"""What a measurement of the GPU engine must not show: the goals of its accuracy, and nothing about speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LARGEST_ERROR = 1e-2
"""Of a log-prob, against the float32 reference, and of any batch size against any other."""
EQUAL_FRAMES = 0.999
LARGEST_STEP_ERROR = 2e-2
"""Of one kernel against its plain form: two steps of float16 between 8 and 16."""


def complaints(section: str, result: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a section's result, one line each; nothing for sections that only time.

    Args:
        section: name of the section.
        result: what it returned.
    """
    found = []
    if section in ("parity", "vector"):
        if not result["max_error"] <= LARGEST_ERROR:
            found.append(f"log-probs are {result['max_error']:.2e} away from float32, {LARGEST_ERROR:g} is allowed")
        if not result["argmax_equal"] >= EQUAL_FRAMES:
            found.append(f"arg-max equal in {result['argmax_equal']:.2%} of frames, {EQUAL_FRAMES:.1%} is asked for")
    if section == "trained":
        if not result["argmax_equal"] >= EQUAL_FRAMES:
            found.append(f"arg-max equal in {result['argmax_equal']:.3%} of frames, {EQUAL_FRAMES:.1%} is asked for")
        if not result["batch_change"] <= LARGEST_ERROR:
            found.append(
                f"the batch size changes log-probs by {result['batch_change']:.2e}, {LARGEST_ERROR:g} is allowed"
            )
    if section in ("independence", "vector"):
        table = result if section == "independence" else result["independence"]
        found += [
            f"{name} changes log-probs by {error:.2e}, {LARGEST_ERROR:g} is allowed"
            for name, error in table.items()
            if not error <= LARGEST_ERROR
        ]
    if section == "kernels":
        found += [
            f"{step} leaves {memory} {error:.2e} away from its plain form, {LARGEST_STEP_ERROR:g} is allowed"
            for step, worst in result.items()
            for memory, error in worst.items()
            if not error <= LARGEST_STEP_ERROR
        ]
    return found
