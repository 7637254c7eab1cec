"""Command line of training: `python -m tritone_acoustic.training train|watch|collect|join|mix|evaluate`.

Only argument parsing; the work is in the modules named here, imported when needed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tritone_acoustic.data.errors import TrainingDataError
from tritone_acoustic.data.paths import DataPaths
from tritone_acoustic.errors import AcousticError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tritone_acoustic.training",
        description="Trains and measures the default model.",
        epilog="example: python -m tritone_acoustic.training train --run runs/default --minutes 14",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="train until the time budget is spent; goes on if interrupted")
    train.add_argument("--run", type=Path, default=Path("runs/default"), help="folder of checkpoints and metrics")
    train.add_argument("--data", type=Path, default=None, help="data folder (default: data)")
    train.add_argument("--pool", type=Path, default=None, help="synthesised audio (default: RUN/pool)")
    train.add_argument("--recipe", dest="name", choices=("default", "tiny"), default="default")
    train.add_argument("--minutes", type=float, default=14.0, help="wall-clock budget from now")
    train.add_argument("--workers", type=int, default=14, help="synthesis processes")
    train.add_argument("--first-hours", type=float, default=2.0, help="synthesised hours before the first step")
    train.add_argument("--capacity-hours", type=float, default=200.0, help="hours kept on the device")
    train.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    train.add_argument("--gpus", type=int, default=1, help="GPUs that train together")
    train.add_argument(
        "--graphs",
        dest="capture",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="record CUDA graphs (on a GPU; they halve the time of a step)",
    )
    train.add_argument("--init", type=Path, default=None, help="model_ema.safetensors or model.onnx to start from")
    train.add_argument("--progress", type=float, default=0.0, help="with --init: place in the schedule, 0 to 1")
    train.add_argument("--max-steps", type=int, default=0, help="stop after so many steps")
    train.add_argument("--check-seconds", type=float, default=90.0, help="time between measurements")
    train.add_argument("--seed", type=int, default=1)

    watch = commands.add_parser("watch", help="print the log of a background run until it is done")
    watch.add_argument("--run", type=Path, default=Path("runs/default"))
    watch.add_argument("--seconds", type=float, default=500.0)

    collect = commands.add_parser("collect", help="gather weights (in parts), metrics, curve and log")
    collect.add_argument("--run", type=Path, default=Path("runs/default"))
    collect.add_argument("--out", type=Path, required=True)

    join = commands.add_parser("join", help="put the parts of a file together again")
    join.add_argument("folder", type=Path)
    join.add_argument("target", type=Path, help="e.g. runs/default/model_ema.safetensors")

    mix = commands.add_parser("mix", help="average the weights of two models, one trained on from the other")
    mix.add_argument("first", type=Path, help=".safetensors or model.onnx")
    mix.add_argument("second", type=Path)
    mix.add_argument("target", type=Path, help="e.g. runs/default/mixed.safetensors")
    mix.add_argument("--share", type=float, default=0.5, help="of the second (default 0.5)")

    evaluate = commands.add_parser("evaluate", help="word and character error rates of a checkpoint")
    evaluate.add_argument("checkpoint", type=Path)
    evaluate.add_argument("--data", type=Path, default=None)
    evaluate.add_argument("--json", type=Path, default=None, help="write the numbers here")
    evaluate.add_argument("--examples", type=int, default=3, help="transcripts to show per set")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.command == "train":
        from tritone_acoustic.training.loop import Run, RunOptions

        values = {key: value for key, value in vars(options).items() if key not in ("command", "debug")}
        values["data"] = options.data or DataPaths.default().root
        values["pool"] = options.pool or options.run / "pool"
        Run(RunOptions(**values)).train()
    elif options.command == "watch":
        from tritone_acoustic.training.collect import watch

        watch(options.run, options.seconds)
    elif options.command == "collect":
        from tritone_acoustic.training.collect import collect

        collect(options.run, options.out)
    elif options.command == "join":
        from tritone_acoustic.training.checkpoints import join_parts

        join_parts(options.folder, options.target)
    elif options.command == "mix":
        from tritone_acoustic.training.checkpoints import mix

        mix(options.first, options.second, options.share, options.target)
    else:
        from tritone_acoustic.training.evaluate import evaluate

        paths = DataPaths(options.data) if options.data else DataPaths.default()
        evaluate(options.checkpoint, paths, options.json, options.examples)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs one training command.

    Args:
        arguments: command line without the program name; None reads sys.argv.

    Returns:
        0 on success, 2 for an error the user can mend.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (TrainingDataError, AcousticError) as error:
        if options.debug:
            raise
        sys.stderr.write(f"tritone: {error.user_message}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
