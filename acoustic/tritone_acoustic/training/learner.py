"""One training step: composed batch -> audio -> network -> CTC -> update, as few launches as possible.

The loop around it, clocks and files are in `loop`.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tritone_acoustic.config import AcousticConfig
from tritone_acoustic.data.channel import Channel
from tritone_acoustic.data.console import say
from tritone_acoustic.data.normalize import BLANK
from tritone_acoustic.data.render import render
from tritone_acoustic.network import AcousticModel
from tritone_acoustic.training.compose import Batch
from tritone_acoustic.training.fast_front import speed_up
from tritone_acoustic.training.optimiser import Optimiser
from tritone_acoustic.training.ranks import Ranks
from tritone_acoustic.training.recipe import Bucket, Recipe
from tritone_acoustic.training.spec_augment import SpecMask
from tritone_acoustic.training.voice_change import VoiceChange


class _Forward(nn.Module):
    """The network with changed speakers and SpecAugment, tensors in and out, as graph capture wants it."""

    def __init__(self, model: AcousticModel, recipe: Recipe, mixed: bool) -> None:
        super().__init__()
        self.model = model
        self._voice = VoiceChange(recipe.voice)
        self._masks = SpecMask(recipe.time_masks, recipe.band_masks)
        self._mixed = mixed

    def _disturbed(self, mel: Tensor, lengths: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(mel.device.type, enabled=False):
            return self._masks(self._voice(mel), lengths)

    def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """Maps float32 [B, N] to float32 log-probabilities [B, T, classes]."""
        with torch.autocast(waveform.device.type, torch.bfloat16, enabled=self._mixed, cache_enabled=False):
            logprobs: Tensor = self.model(waveform, lengths, self._disturbed)[0]
        return logprobs.float()


def push_earlier(logprobs: Tensor) -> Tensor:
    """Cross entropy of each frame with the one after it (peak-first regularisation, Tian et al. 2022).

    CTC does not care in which frame a letter is written; this pulls it towards the frame before, again and again,
    until hearing less of what comes costs as much.

    Args:
        logprobs: float32 [B, T, classes].

    Returns:
        A scalar, summed over frames.
    """
    after = logprobs[:, 1:].detach().exp()
    return -(after * logprobs[:, :-1]).sum()


class Learner:
    """The model under training.

    Attributes:
        early: weight of the push towards writing earlier; 0 leaves it out.

    Args:
        config: architecture.
        recipe: everything else.
        device: where to train.
        seed: of weights, masks and disturbances.
        ranks: who trains along; None trains alone.
        capture: record the forward and backward pass of each batch shape as CUDA graphs.
    """

    def __init__(
        self,
        config: AcousticConfig,
        recipe: Recipe,
        device: torch.device,
        seed: int,
        capture: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.config, self.recipe, self.device = config, recipe, device
        self.model = AcousticModel(config).to(device).train()
        speed_up(self.model)
        self.optimiser = Optimiser(self.model, recipe)
        self._ranks = ranks
        if ranks is not None:
            ranks.attach(self.model)
            torch.manual_seed(seed + 1000 * ranks.rank)  # the same weights, but other disturbances
            seed += 1000 * ranks.rank
        self.channel = Channel(device, seed + 1, recipe.channel)
        self.early = recipe.early
        self._capture = capture and device.type == "cuda"
        self._forwards: dict[tuple[int, int], Any] = {}

    def prepare(self, bucket: Bucket) -> None:
        """Captures a batch shape ahead of time; weights and statistics stay as they are.

        A shape that cannot be captured is run without a graph, which is slower but the same.

        Args:
            bucket: the shape.
        """
        begin = time.monotonic()
        before = {name: value.clone() for name, value in self.model.state_dict().items()}
        waveform = torch.randn(bucket.rows, bucket.samples, device=self.device) * 0.05
        lengths = torch.full((bucket.rows,), bucket.samples, device=self.device)
        forward: Any = _Forward(self.model, self.recipe, mixed=self.device.type == "cuda")
        for _ in range(2):
            forward(waveform, lengths).logsumexp(2).sum().backward()
        how = "plain"
        if self._capture:
            try:
                forward = torch.cuda.make_graphed_callables(forward, (waveform, lengths))
                how = "captured"
            except RuntimeError as error:
                say(f"no CUDA graph for {bucket.rows} rows: {str(error).splitlines()[0]}")
                forward = _Forward(self.model, self.recipe, mixed=True)
        self._forwards[bucket.rows, bucket.samples] = forward
        self.optimiser.clear()
        self.model.load_state_dict(before)
        say(f"batch of {bucket.rows} x {bucket.samples / 8000:.1f} s: {how}, {time.monotonic() - begin:.1f} s")

    def _forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        shape = (waveform.shape[0], waveform.shape[1])
        if shape not in self._forwards:
            self._forwards[shape] = _Forward(self.model, self.recipe, mixed=self.device.type == "cuda")
        result: Tensor = self._forwards[shape](waveform, lengths)
        return result

    @torch.no_grad()
    def audio(self, store: Tensor, batch: Batch) -> Tensor:
        """Renders and disturbs a batch.

        Args:
            store: int16 [n], the utterances.
            batch: what stands where.

        Returns:
            float32 [B, N], zero in the first `pad` samples and from each row's `silent_from` on.
        """
        clean, speech = render(store, batch.plan.to(self.device), batch.samples)
        waveform = self.channel(clean, speech)
        time = torch.arange(batch.samples, device=self.device)
        end = batch.silent_from.to(self.device, non_blocking=True).unsqueeze(1)
        return waveform * ((time >= self.recipe.pad) & (time < end))

    def step(self, store: Tensor, batch: Batch, progress: float) -> tuple[Tensor, Tensor]:
        """Learns from one batch.

        Args:
            store: int16 [n], the utterances.
            batch: what stands where.
            progress: share of the time budget that is spent.

        Returns:
            Loss per target letter and gradient norm, scalars on the device.
        """
        waveform = self.audio(store, batch)
        rows = waveform.shape[0]
        lengths = torch.full((rows,), batch.samples, device=self.device)
        logprobs = self._forward(waveform, lengths)
        losses = F.ctc_loss(
            logprobs.transpose(0, 1),
            batch.targets.to(self.device, non_blocking=True),
            batch.frames,  # both lengths stay on the CPU: the kernel wants them there
            batch.target_lengths,
            blank=BLANK,
            reduction="none",
            zero_infinity=True,
        )
        # Per letter, with one letter more per row so that silent rows count and nothing is divided by zero.
        scale = 1.0 / float(batch.target_lengths.sum() + rows)
        loss = losses.sum() * scale
        (loss + push_earlier(logprobs) * (self.early * scale) if self.early else loss).backward()
        if self._ranks is not None:
            self._ranks.average_gradients()
        return loss.detach(), self.optimiser.step(progress)

    def averaged_model(self) -> AcousticModel:
        """Returns a new model in evaluation mode that holds the averaged weights."""
        model = AcousticModel(self.config)
        model.to(self.device)
        model.eval()
        model.load_state_dict({**self.model.state_dict(), **self.optimiser.average})
        return model

    def state_dict(self) -> dict[str, Any]:
        """Returns everything needed to go on as if nothing had happened."""
        state: dict[str, Any] = {
            "config": self.config.to_dict(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "channel_rng": self.channel.generator.get_state(),
            "torch_rng": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict`'s result.

        Args:
            state: as returned by `state_dict`, on any device.
        """
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.channel.generator.set_state(state["channel_rng"].cpu())
        torch.set_rng_state(state["torch_rng"].cpu())
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Starts from given weights (a compact checkpoint), with a fresh optimiser.

        Args:
            weights: a state_dict of the same architecture; counters may be missing.
        """
        own = self.model.state_dict()
        # An exported model does not count the batches that its statistics come from.
        self.model.load_state_dict(
            {name: weights[name].to(value.dtype) if name in weights else value for name, value in own.items()}
        )
        for name, value in self.optimiser.average.items():
            value.copy_(self.model.state_dict()[name])
