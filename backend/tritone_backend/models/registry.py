"""Where a model's name leads: a folder, or a name on the search path. Reading a model is the work of spec.py."""

from __future__ import annotations

import os
from pathlib import Path

import tritone_backend
from tritone_backend.errors import ModelError
from tritone_backend.spec import DESCRIPTION_FILE


def model_roots() -> list[Path]:
    """Folders that hold models, in search order: ``$TRITONE_MODELS``, the checkout's, this user's."""
    chosen = os.environ.get("TRITONE_MODELS")
    data = os.environ.get("XDG_DATA_HOME")
    user = Path(data) if data else Path.home() / ".local" / "share"
    checkout = Path(tritone_backend.__file__).resolve().parents[2] / "models"
    return [*([Path(chosen)] if chosen else []), checkout, user / "tritone" / "models"]


def new_model_root() -> Path:
    """Folder that new models are added to: ``$TRITONE_MODELS``, else this user's; never the checkout's."""
    return model_roots()[0] if os.environ.get("TRITONE_MODELS") else model_roots()[-1]


def found_models() -> dict[str, Path]:
    """Every model that can be named, with its folder."""
    found: dict[str, Path] = {}
    for root in model_roots():
        for description in sorted(root.glob(f"*/{DESCRIPTION_FILE}")):
            found.setdefault(description.parent.name, description.parent)
    return found


def find_model(name: str | Path) -> Path:
    """Return the absolute folder of a model.

    Args:
        name: a name in one of :func:`model_roots`, or a folder with ``model.toml``.

    Raises:
        ModelError: there is none; the message names those there are.
    """
    given = Path(name).expanduser()
    named = found_models()
    if str(name) in named:
        return named[str(name)].resolve()
    if (given / DESCRIPTION_FILE).is_file():
        return given.resolve()
    there = (
        f"there are: {', '.join(sorted(named))}" if named else "there is none: add one with `tritone model add FILE`"
    )
    raise ModelError(f"no model {str(name)!r} (a name, or a folder with {DESCRIPTION_FILE}); {there}")
