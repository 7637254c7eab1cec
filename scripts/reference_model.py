"""Makes a model folder of T-one's architecture, 71.7 M parameters, with the weights of tests/fixtures/parity.

    python scripts/reference_model.py FOLDER

The weights are numbers by a rule, not trained: for measuring and for parity, not for words.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tritone_client.cli.main import main as tritone

PARITY = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "parity"


def weights() -> dict[str, torch.Tensor]:
    """Every parameter by its public name."""
    source = importlib.util.spec_from_file_location("parity_fill", PARITY / "fill.py")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    found = {}
    for row in (PARITY / "t_one_parameters.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, shape, kind = row.split("\t")
        sizes = tuple(int(size) for size in shape.split("x")) if shape != "scalar" else ()
        found["tone." + name] = torch.from_numpy(np.asarray(module.fill(name, sizes))).to(getattr(torch, kind))
    return found


def main(folder: Path) -> int:
    """Write the folder; the exit status of `tritone model export`."""
    with TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "reference.pt"
        torch.save({"state_dict": weights()}, checkpoint)
        status: int = tritone(["model", "export", str(checkpoint), str(folder), "--precision", "fp16"])
        return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
