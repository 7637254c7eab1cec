"""Plan files and what is known of them: names, the description beside each, and which one fits this machine.

A plan is opaque and loads only where it was built for; its description says so before TensorRT is asked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritone_backend.engines.cache import cache_directory
from tritone_backend.errors import EngineError

SUFFIX = ".plan"
FOLDER = "plans"
FORMAT = 1


@dataclass(frozen=True)
class PlanInfo:
    """What a plan was built for, as the JSON beside it says.

    Attributes:
        network: SHA-256 of the ONNX graph.
        flavour: ``tensorrt`` or ``tensorrt_rtx``.
        version: version of that library.
        architectures: GPUs, such as ``sm90``.
        precision: of the matrix products.
        batches: rising batch sizes, one optimisation profile each.
        state_size: values of one stream's state.
        plan: SHA-256 of the plan itself.
        format: of this description.
    """

    network: str
    flavour: str
    version: str
    architectures: tuple[str, ...]
    precision: str
    batches: tuple[int, ...]
    state_size: int
    plan: str
    format: int = FORMAT

    @property
    def stem(self) -> str:
        """Return the file name without its suffix."""
        return "-".join((self.flavour, self.version, "+".join(self.architectures), self.precision, self.network[:12]))


def folders(model: Path) -> tuple[Path, ...]:
    """Return where plans of a model folder are looked for: in it, then in this machine's cache."""
    return model / FOLDER, cache_directory() / FOLDER


def digest(content: bytes) -> str:
    """Return SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write_plan(folder: Path, info: PlanInfo, plan: memoryview | bytes) -> Path:
    """Store a plan and its description; the description comes last, so that half a plan is never found.

    Raises:
        EngineError: the folder cannot be written.
    """
    path = folder / f"{info.stem}{SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_bytes(plan)
        draft.replace(path)
        described = json.dumps(dataclasses.asdict(info), indent=1) + "\n"
        Path(f"{path}.json").write_text(described, encoding="utf-8")
    except OSError as error:
        raise EngineError(
            f"cannot write {path}: {error.strerror or error}; name another folder with --output"
        ) from None
    return path


def read_info(path: Path) -> PlanInfo:
    """Read the description beside a plan.

    Raises:
        EngineError: it is missing or damaged.
    """
    described = Path(f"{path}.json")
    try:
        table = json.loads(described.read_text(encoding="utf-8"))
        if table["format"] != FORMAT:
            raise ValueError(f"format {table['format']}, not {FORMAT}")
        table |= {"architectures": tuple(table["architectures"]), "batches": tuple(table["batches"])}
        return PlanInfo(**table)
    except OSError:
        raise EngineError(
            f"{path} has no description {described.name} beside it: copy both, or build it anew"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{described} is damaged ({error}): build the plan anew") from None


def mismatch(info: PlanInfo, *, network: str, flavour: str, version: str, architecture: str) -> str | None:
    """Say in a few words what a plan was built for and is not here; None if it fits."""
    if info.network != network:
        return f"was built for another network ({info.network[:12]}, this one is {network[:12]})"
    if (info.flavour, info.version) != (flavour, version):
        return f"was built by {info.flavour} {info.version}, here is {flavour} {version}"
    if architecture not in info.architectures:
        return f"was built for GPUs of {' and '.join(info.architectures)}, this one is {architecture}"
    return None


def choose_plan(model: Path, *, network: str, flavour: str, version: str, architecture: str) -> tuple[Path, PlanInfo]:
    """Return the plan of a model folder that runs here.

    Args:
        model: the model folder.
        network: SHA-256 of its graph.
        flavour: library that will run it.
        version: of that library.
        architecture: of the GPU.

    Raises:
        EngineError: there is none; the message says what the nearest one was built for.
    """
    build = f"build one with `tritone model build {model} --engine tensorrt`"
    found = [path for folder in folders(model) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    reasons = []
    for path in found:
        info = read_info(path)
        reason = mismatch(info, network=network, flavour=flavour, version=version, architecture=architecture)
        if reason is None:
            return path, info
        reasons.append((len(reason.split("another network")), f"{path.name} {reason}"))
    if reasons:
        raise EngineError(f"{min(reasons)[1]}: {build}")
    raise EngineError(f"{model} has no TensorRT plan: {build}")


def read_plan(path: Path, info: PlanInfo) -> bytes:
    """Read a plan and check that it is whole.

    Raises:
        EngineError: it is not the one that was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror or error}") from None
    if digest(content) != info.plan:
        raise EngineError(f"{path} is damaged: its hash is not the one in its description; build it anew")
    return content


def check_batches(batches: Sequence[int]) -> tuple[int, ...]:
    """Return batch sizes rising and distinct.

    Raises:
        EngineError: there is none, or one is no batch size.
    """
    if not batches or min(batches) < 1 or max(batches) > 65_536:
        raise EngineError("--batches takes numbers from 1 to 65536 with commas")
    return tuple(sorted(set(batches)))
