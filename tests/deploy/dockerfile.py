"""Reads the Dockerfile: its stages and their instructions, so that tests run what the images are built from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    """One FROM with what follows it.

    Attributes:
        name: the stage's name.
        base: image or stage it starts from, arguments filled in.
        steps: instructions in order: keyword and the rest of the line.
    """

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """What follows every instruction of a kind."""
        return [rest for word, rest in self.steps if word == keyword]

    def command(self, keyword: str) -> list[str]:
        """The argument list in exec form of ENTRYPOINT, CMD or HEALTHCHECK."""
        (rest,) = self.all(keyword)
        return list(json.loads(rest[rest.index("[") :]))


def stages(text: str | None = None) -> dict[str, Stage]:
    """Parses the Dockerfile of the repository, or a given one."""
    text = (ROOT / "Dockerfile").read_text() if text is None else text
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    arguments: dict[str, str] = {}
    found: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "ARG" and stage is None:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            for key, value in arguments.items():
                base = base.replace(f"${{{key}}}", value)
            stage = found[name] = Stage(name, base)
        else:
            assert stage is not None, f"{word} before the first FROM"
            stage.steps.append((word, rest))
    return found
