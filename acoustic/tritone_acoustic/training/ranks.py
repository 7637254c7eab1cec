"""Several processes that train one model in lockstep, one GPU each: shared clock, averaged gradients.

What is trained and when it is measured is in `learner` and `loop`; this module knows neither.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tritone_acoustic.data.errors import TrainingDataError

_RANK = "TRITONE_TRAINING_RANK"
_MEETING = "ranks"
_PATIENCE = timedelta(minutes=3)


def own_rank() -> int:
    """Returns the number of this process among those that train together; 0 is the one that the user started."""
    return int(os.environ.get(_RANK, "0"))


class Ranks:
    """This process's place among those that train together.

    The process that the user started is rank 0; it starts the others with the same command line.

    Args:
        size: how many train together.
        run: folder of the run; the processes find each other by a file in it.
        device: "cuda" (rank k takes GPU k) or "cpu".

    Raises:
        TrainingDataError: fewer GPUs than ranks.
    """

    def __init__(self, size: int, run: Path, device: str) -> None:
        self.size, self.rank = size, own_rank()
        self.device = torch.device("cuda", self.rank) if device == "cuda" and size > 1 else torch.device(device)
        self._children: list[subprocess.Popen[bytes]] = []
        self._flat: Tensor | None = None
        if size == 1:
            return
        if device == "cuda" and torch.cuda.device_count() < size:
            raise TrainingDataError(f"{size} GPUs asked for, {torch.cuda.device_count()} found: lower --gpus")
        if device == "cuda":
            torch.cuda.set_device(self.device)
        meeting = run.resolve() / _MEETING
        if self.first:
            meeting.unlink(missing_ok=True)
            for rank in range(1, size):
                environment = {**os.environ, _RANK: str(rank)}
                self._children.append(subprocess.Popen(self._command(), env=environment, stdin=subprocess.DEVNULL))
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        dist.init_process_group(backend, f"file://{meeting}", _PATIENCE, rank=self.rank, world_size=size)

    @staticmethod
    def _command() -> list[str]:
        return [sys.executable, *sys.orig_argv[1:]]

    @property
    def first(self) -> bool:
        """Whether this process measures, saves and synthesises."""
        return self.rank == 0

    def attach(self, model: nn.Module) -> None:
        """Lets all gradients of a model live in one tensor, so that one transfer averages them.

        Args:
            model: float32, before its first backward pass.
        """
        if self.size == 1:
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._flat = torch.zeros(sum(parameter.numel() for parameter in parameters), device=self.device)
        place = 0
        for parameter in parameters:
            parameter.grad = self._flat[place : place + parameter.numel()].view_as(parameter)
            place += parameter.numel()

    def average_gradients(self) -> None:
        """Replaces the gradients by their mean over all ranks."""
        if self._flat is not None:
            dist.all_reduce(self._flat)
            self._flat /= self.size

    def mean(self, value: float) -> float:
        """Averages a number over all ranks."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(total)
        return float(total) / self.size

    def agreed(self, value: float) -> float:
        """Returns rank 0's number on every rank."""
        if self.size == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(number, 0)
        return float(number)

    def leave(self, failed: bool = False) -> None:
        """Ends the other processes of a run; rank 0 waits for them, or kills them if it has failed itself.

        Args:
            failed: this process ends with an error.
        """
        # A process leaves the group before it waits: the group's end waits for all of its members.
        if self.size > 1 and dist.is_initialized() and not failed:
            dist.destroy_process_group()
        for child in self._children:
            if failed:
                child.kill()
            child.wait(timeout=60)
