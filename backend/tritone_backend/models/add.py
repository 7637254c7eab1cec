"""Puts a published graph among this user's models, from a file or from the model hub.

Finding models is the work of registry.py; checking a graph that of graph.py.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tritone_backend.errors import ModelError
from tritone_backend.models.description import GRAPH_FILE, Description, write_description
from tritone_backend.models.graph import read_sizes
from tritone_backend.models.registry import found_models, new_model_root
from tritone_backend.spec import AcousticSpec


@dataclass(frozen=True)
class Published:
    """A model on the hub.

    Attributes:
        repository: its id there.
        file: name of the graph.
        description: what the graph does not say.
    """

    repository: str
    file: str
    description: Description


PUBLISHED = {
    "t-one": Published(
        "t-tech/T-one",
        "model.onnx",
        Description("t-one", text="T-one, Russian telephony, 71.7 M parameters (T-Tech)", license="Apache-2.0"),
    )
}


def add_model(
    graph: Path,
    description: Description,
    *,
    root: Path | None = None,
    replace_old: bool = False,
    beside: Sequence[Path] = (),
) -> AcousticSpec:
    """Copy a graph of the public contract into a model folder and describe it.

    Args:
        graph: the ONNX file.
        description: what the graph does not say; its name is the folder's.
        root: folder of models; by default `registry.new_model_root`.
        replace_old: overwrite a model of the same name.
        beside: further files of the model, such as its language model.

    Returns:
        The new model as serving sees it.

    Raises:
        ModelError: if the graph breaks the contract, the name is taken or unfit, or the disk refuses.
    """
    name = description.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ModelError(f"{name!r} is no model name: use letters, digits, '.', '_' and '-' (--name)")
    directory = (root or new_model_root()) / name
    if directory.exists() and not replace_old:
        raise ModelError(f"{directory} exists already: choose another --name, or --force to replace it")
    elsewhere = found_models().get(name) if root is None else None
    if elsewhere is not None and elsewhere != directory:
        raise ModelError(f"the name {name!r} leads to {elsewhere}, which is found first: choose another --name")
    sizes = read_sizes(graph)
    if len(description.labels) != sizes.classes - 1:
        raise ModelError(
            f"{graph} has {sizes.classes} classes, the blank included, but there are {len(description.labels)} labels: "
            "give its characters in class order with --labels"
        )
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # Built aside and moved at the end, so that no server ever finds half a model.
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{name}.") as scratch:
            fresh = Path(scratch) / name
            fresh.mkdir()
            shutil.copyfile(graph, fresh / GRAPH_FILE)
            for file in beside:
                shutil.copyfile(file, fresh / file.name)
            write_description(fresh, sizes, description)
            AcousticSpec.load(fresh)
            if directory.exists():
                directory.rename(Path(scratch) / "old")
            fresh.rename(directory)
    except OSError as error:
        raise ModelError(f"cannot write {directory}: {error.strerror or error}") from error
    return AcousticSpec.load(directory)


def pull_model(
    name: str, *, root: Path | None = None, replace_old: bool = False, say: Callable[[str], None]
) -> AcousticSpec:
    """Download a published model (the hub's client shows the progress) and add it.

    Args:
        name: one of `PUBLISHED`.
        root: as in `add_model`.
        replace_old: as in `add_model`.
        say: called with one line before the download.

    Raises:
        ModelError: if the name is unknown, the hub's client is missing or the hub cannot be reached.
    """
    if name not in PUBLISHED:
        raise ModelError(f"no published model {name!r}; there are: {', '.join(PUBLISHED)}")
    published = PUBLISHED[name]
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError:
        raise ModelError("pulling needs the model hub's client: pip install 'tritone[hub]'") from None
    say(f"pulling {published.file} of {published.repository} from the Hugging Face hub")
    try:
        path = hf_hub_download(published.repository, published.file)
    except Exception as error:  # the client lets through whatever its HTTP library raises
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"cannot pull {published.repository}: {reason} "
            f"(without the hub: download {published.file} elsewhere and `tritone model add FILE --name {name}`)"
        ) from error
    return add_model(Path(path), published.description, root=root, replace_old=replace_old)
