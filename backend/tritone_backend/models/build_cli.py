"""`tritone model build`: options and printing; plans are built in engines/tensorrt/, 8-bit graphs in quantise.py."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from tritone_backend.errors import ModelError
from tritone_backend.models.registry import find_model
from tritone_backend.spec import AcousticSpec

EXAMPLE = """example:
  tritone model build default --engine tensorrt
  tritone model build default --engine tensorrt --library tensorrt_rtx --target sm89,sm120 --batches 1,16,64
  tritone model build default --engine onnxruntime --name default-int8
  tritone model build default --engine onnxruntime --calibrate recordings/ --name default-int8
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tritone model build`."""
    parser.description = (
        "Build a TensorRT plan of a model for this machine's GPU (with TensorRT for RTX also for others), "
        "or a model with 8-bit products for the CPU."
    )
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("model", metavar="NAME|DIR", help="the model")
    add(
        "--engine", choices=("tensorrt", "onnxruntime"), default="tensorrt", help="for which engine (default: tensorrt)"
    )
    add("--precision", help="tensorrt: fp16 (default), bf16, tf32, fp32, keep; onnxruntime: int8")
    add("--batches", metavar="N,N,...", help="tensorrt: batch sizes to optimise for (default: 1 to 1024)")
    add("--library", choices=("tensorrt", "tensorrt_rtx"), help="tensorrt: which, if both are installed")
    add("--target", metavar="SM,SM,...", help="tensorrt_rtx: GPUs to build for, such as sm89 (default: this one)")
    add(
        "--workspace", type=float, default=0.0, metavar="GIB", help="tensorrt: most memory of one kernel (default: all)"
    )
    add("--output", type=Path, metavar="DIR", help="tensorrt: folder of the plan (default: plans/ in the model's)")
    add(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help="onnxruntime: folder of recordings to calibrate on (default: noise and tones made here)",
    )
    add("--name", help="onnxruntime: name of the new model (default: NAME-int8)")
    add("--force", action="store_true", help="onnxruntime: replace a model of this name")


def run(args: argparse.Namespace) -> int:
    """Build and report.

    Raises:
        BackendError: with one line for the user.
    """
    directory = find_model(args.model)
    spec = AcousticSpec.load(directory)
    if args.engine == "onnxruntime":
        return _eight_bits(args, spec)
    from tritone_backend.engines.tensorrt.build import LADDER, BuildOptions, build_plan
    from tritone_backend.engines.tensorrt.library import find_library
    from tritone_backend.engines.tensorrt.plans import FOLDER

    try:
        batches = tuple(int(text) for text in args.batches.split(",")) if args.batches else LADDER
    except ValueError:
        raise ModelError(f"--batches {args.batches}: give numbers with commas, such as 1,16,64") from None
    options = BuildOptions(
        precision=args.precision or "fp16",
        batches=batches,
        targets=tuple(args.target.split(",")) if args.target else (),
        workspace=int(args.workspace * 2**30),
        folder=args.output or directory / FOLDER,
    )
    _, info = build_plan(spec, find_library(args.library), options, lambda line: _out(line, sys.stderr))
    _out(f"built for {' and '.join(info.architectures)}: `tritone serve --engine tensorrt --model {args.model}`")
    return 0


def _eight_bits(args: argparse.Namespace, spec: AcousticSpec) -> int:
    if args.precision not in (None, "int8"):
        raise ModelError(f"--precision {args.precision}: the onnxruntime engine's graphs are built with int8 only")
    from tritone_backend.models.eight_bits import add_quantised

    name = args.name or f"{spec.name}-int8"
    made, done, error = add_quantised(
        spec, name, replace_old=args.force, recordings=args.calibrate, say=lambda line: _out(line, sys.stderr)
    )
    _out(
        f"{done.products} products and convolutions in 8 bits, {done.calibrated} with calibrated scales, "
        f"{done.megabytes:.1f} MB of weights"
    )
    _out(f"log-probs of {error.frames} frames of noise and tone: {error.summary}; try it on your own calls")
    _out(f"added {made.name} in {made.onnx.parent}; use it with `tritone serve --model {made.name}`")
    return 0


def _out(line: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(f"{line}\n")
    (stream or sys.stdout).flush()
