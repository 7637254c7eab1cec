"""`tritone model`: options and printing of its sub-commands; the work is done by the modules beside this one.

Sub-commands of other packages are named as text and imported only when the command line is built.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tritone_backend.errors import ModelError
from tritone_backend.spec import AcousticSpec

EXAMPLE = """example:
  tritone model pull t-one
  tritone model list
"""
ELSEWHERE = {
    "export": ("tritone_acoustic.cli.export", "make a model of a checkpoint"),
    "build": ("tritone_backend.models.build_cli", "build a faster form of a model for an engine"),
    "tune": ("tritone_backend.tuning.cli", "fit decoding to a model on development data"),
}
"""Sub-commands whose `configure` and `run` live in another package."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `tritone model`."""
    parser.description = "Acoustic models: find, fetch, add and describe them."
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="models that `serve --model` finds by name")
    command.set_defaults(model_run=_list)

    command = commands.add_parser("info", help="describe one model and check its file")
    command.add_argument("model", metavar="NAME|DIR")
    command.set_defaults(model_run=_info)

    command = commands.add_parser("add", help="add a published model.onnx", epilog="example: tritone model add t.onnx")
    command.add_argument("file", type=Path, metavar="FILE", help="graph with the public T-one contract")
    command.add_argument("--name", help="name of the model (default: from the file's)")
    command.add_argument("--labels", help="characters in class order, space included (default: T-one's)")
    command.add_argument("--time-bias", type=float, metavar="S", help="lag of the labels (default: 0.33 s)")
    command.add_argument("--force", action="store_true", help="replace a model of this name")
    command.set_defaults(model_run=_add)

    command = commands.add_parser("pull", help="download a published model")
    command.add_argument("name", metavar="NAME", help="t-one")
    command.add_argument("--force", action="store_true", help="replace a model of this name")
    command.set_defaults(model_run=_pull)

    for name, (module_name, summary) in ELSEWHERE.items():
        module = import_module(module_name)
        command = commands.add_parser(name, help=summary)
        module.configure(command)
        command.set_defaults(model_run=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command and return its exit status.

    Raises:
        BackendError: with one line for the user (or the error of another package's sub-command).
    """
    status: int = args.model_run(args)
    return status


def _list(args: argparse.Namespace) -> int:
    from tritone_backend.models.registry import found_models, model_roots

    models = found_models()
    if not models:
        print("no models; looked in " + ", ".join(map(str, model_roots())), file=sys.stderr)
        print("add one with `tritone model pull t-one` or `tritone model add FILE`", file=sys.stderr)
        return 0
    rows = [("NAME", "SIZE", "STATE", "FOLDER")]
    for name, directory in sorted(models.items()):
        try:
            spec = AcousticSpec.load(directory)
            sizes = (f"{spec.onnx.stat().st_size / 1e6:.1f} MB", f"{spec.state_size * 2 / 1e3:.0f} kB/stream")
        except ModelError:
            sizes = ("broken", "see info")
        rows.append((name, *sizes, str(directory)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]))
    return 0


def _info(args: argparse.Namespace) -> int:
    from tritone_backend.models.description import file_hash, read_table
    from tritone_backend.models.registry import find_model

    directory = find_model(args.model)
    spec = AcousticSpec.load(directory)
    table = read_table(directory)
    expected = table["files"].get("sha256")
    intact = "not recorded"
    if expected:
        intact = "intact" if file_hash(spec.onnx) == expected else "CHANGED since it was added"
    lines: dict[str, Any] = {
        "name": f"{spec.name} {table.get('version', '')}".strip(),
        "description": table.get("description") or "-",
        "language": table.get("language") or "-",
        "licence": table.get("license") or "-",
        "folder": directory,
        "graph": f"{spec.onnx.name}, {spec.onnx.stat().st_size / 1e6:.1f} MB, {intact}",
        "chunk": f"{spec.chunk_seconds * 1e3:.0f} ms, {spec.chunk_samples} samples at {spec.sample_rate} Hz",
        "output": f"{spec.frames_per_chunk} frames of {spec.frame_seconds * 1e3:.0f} ms, {spec.classes} classes",
        "labels": spec.labels.replace(" ", "␣"),
        "state": f"{spec.state_size} values, {spec.state_size * 2 / 1e3:.0f} kB per stream",
        "timing": f"labels lag {spec.time_bias_seconds} s; padding {spec.padding_samples} samples",
    }
    if "architecture" in table:
        sizes = table["architecture"]
        lines["network"] = f"{sizes['n_layers']} blocks of {sizes['d_model']}, {sizes['n_heads']} heads"
    for key, value in lines.items():
        print(f"{key:<12} {value}")
    return 1 if intact.startswith("CHANGED") else 0


def _add(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from tritone_backend.models.add import add_model
    from tritone_backend.models.description import Description

    stem = args.file.stem if args.file.stem != "model" else args.file.resolve().parent.name
    description = Description(args.name or stem)
    if args.labels is not None:
        description = replace(description, labels=args.labels)
    if args.time_bias is not None:
        description = replace(description, time_bias_seconds=args.time_bias)
    return _report(add_model(args.file, description, replace_old=args.force))


def _pull(args: argparse.Namespace) -> int:
    from tritone_backend.models.add import pull_model

    return _report(pull_model(args.name, replace_old=args.force, say=lambda line: print(line, file=sys.stderr)))


def _report(spec: AcousticSpec) -> int:
    print(f"added {spec.name} in {spec.onnx.parent}; use it with `tritone serve --model {spec.name}`")
    return 0
