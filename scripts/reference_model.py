"""Makes a model folder of T-one's architecture, 71.7 M parameters, with the weights of tests/fixtures/parity.

    python scripts/reference_model.py FOLDER

The weights are numbers by a rule, not trained: for measuring a GPU, not for words. The folder has no graph, only the
weights, which is all that the torch engine reads; `tritone model export` makes one with a graph, in a minute.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch

PARITY = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "parity"
DESCRIPTION = """\
name = "t-one-reference"
version = "1"
description = "T-one's architecture with made-up weights"
language = "ru"
license = ""

[audio]
sample_rate = 8000
chunk_samples = 2400
padding_samples = 2400

[output]
frame_seconds = 0.03
frames_per_chunk = 10
labels = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "
blank = 34
time_bias_seconds = 0.33

[state]
size = 219729
dtype = "float16"

[files]
onnx = "weights.pt"
"""


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
        found[name] = torch.from_numpy(np.asarray(module.fill(name, sizes))).to(getattr(torch, kind))
    return found


def main(folder: Path) -> None:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": weights()}, folder / "weights.pt")
    (folder / "model.toml").write_text(DESCRIPTION, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
