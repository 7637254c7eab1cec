"""`tritone model export`: options and what is printed; the work is done by tritone_acoustic.export."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tritone_acoustic.errors import AcousticError

EXAMPLE = """example:
  tritone model export runs/best.pt models/mine --precision fp16
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tritone model export`."""
    parser.description = "Turn a checkpoint into a model folder: model.onnx and model.toml."
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="state dict: .pt or .safetensors")
    parser.add_argument("directory", type=Path, metavar="OUT_DIR", help="model folder to write")
    add = parser.add_argument
    add("--precision", choices=("fp32", "fp16"), default="fp32", help="how weights are stored (default: fp32)")
    add("--config", type=Path, metavar="FILE", help="TOML or JSON with sizes and labels that shapes cannot tell")
    add("--name", help="name of the model (default: name of OUT_DIR)")
    add("--model-version", default="1", metavar="TEXT", help="version of the weights (default: 1)")
    add("--description", default="", metavar="TEXT", help="one line for people")
    add("--language", default="ru", metavar="TAG", help="language of the speech (default: ru)")
    add("--license", default="", metavar="SPDX", help="licence of the weights")
    add("--time-bias", type=float, default=0.33, metavar="S", help="lag of the labels (default: 0.33 s)")
    add("--padding", type=int, default=2400, metavar="N", help="silence around utterances (default: 2400 samples)")


def run(args: argparse.Namespace) -> int:
    """Export, check and describe.

    Returns:
        0; every failure is an exception.

    Raises:
        AcousticError: with one line that says what is wrong.
    """
    try:
        from tritone_acoustic.export import export_checkpoint
        from tritone_acoustic.model_file import ModelCard
    except ModuleNotFoundError as missing:
        raise AcousticError(
            f"export needs the package {missing.name}: install it with pip install 'tritone[export]'"
        ) from missing

    def card(labels: str) -> ModelCard:
        return ModelCard(
            name=args.name or args.directory.resolve().name,
            labels=labels,
            version=args.model_version,
            description=args.description,
            language=args.language,
            license=args.license,
            time_bias=args.time_bias,
            padding=args.padding,
        )

    result = export_checkpoint(
        args.checkpoint,
        args.directory,
        card=card,
        precision=args.precision,
        config_file=args.config,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(
        f"{result.directory / 'model.onnx'}: {result.megabytes:.1f} MB, {args.precision} weights, "
        f"state of {result.config.state_size} values; largest difference from PyTorch {result.error:.1e} "
        f"(allowed {result.tolerance:g})"
    )
    return 0
