"""The whole acoustic network: whole utterances for training, single chunks with a fused state for streaming.

Its sizes are in config.py, its layers in blocks.py and subsampling.py; weights are read in checkpoint.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tritone_acoustic.blocks import ConformerBlock
from tritone_acoustic.config import HOP, MEL_PER_FRAME, T_ONE, AcousticConfig
from tritone_acoustic.features import LogMel
from tritone_acoustic.subsampling import PreEncode, TemporalReduction

SpecAugment = Callable[[Tensor, Tensor], Tensor]
"""Takes log-mel float32 [B, L, n_mels] and valid lengths int64 [B], returns features of the same shape."""
SAMPLE_SCALE = 32767.0


class Encoder(nn.Module):
    """Container of the trained layers between features and classes, under their public names."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.pre_encode = PreEncode(config)
        # The spelling is part of the public parameter names.
        self.temportal_reduction = TemporalReduction(config)
        self.layers = nn.ModuleList(ConformerBlock(config, block) for block in range(config.n_layers))


class Decoder(nn.Module):
    """Linear classifier of frames, stored as a convolution of kernel 1."""

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.decoder_layers = nn.Sequential(nn.Conv1d(config.d_model, config.n_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, d_model] to natural-log probabilities, float32 [B, T, n_classes]."""
        layer = self.decoder_layers[0]
        return F.linear(x, layer.weight.squeeze(2), layer.bias).float().log_softmax(dim=-1)


class AcousticModel(nn.Module):
    """A T-one style streaming conformer with CTC output.

    Args:
        config: sizes; the default is the public T-one.
    """

    def __init__(self, config: AcousticConfig = T_ONE) -> None:
        super().__init__()
        self.config = config
        self.features = LogMel(config.n_mels)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(
        self, waveform: Tensor, lengths: Tensor, spec_augment: SpecAugment | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run whole utterances, as in training.

        Equal to streaming for a length that is a whole number of chunks. Valid lengths of an even number of
        frames are advisable: as in the public code an odd last frame is not counted and sees the padding.

        Args:
            waveform: float32 [B, N], samples in about +-1, padded at the end; N at least 240.
            lengths: int64 [B], valid samples.
            spec_augment: applied to the log-mel features, if given.

        Returns:
            float32 [B, T, n_classes] natural-log probabilities, T = N // 240; int64 [B], the valid frames.

        Raises:
            ValueError: if the waveform is shorter than one frame.
        """
        config = self.config
        frames = waveform.shape[1] // HOP // MEL_PER_FRAME
        if frames < 1:
            raise ValueError(
                f"waveform of {waveform.shape[1]} samples is shorter than a frame of {HOP * MEL_PER_FRAME}"
            )
        mel = self.features(F.pad(waveform, (HOP, 0)))
        mel_lengths = lengths // HOP
        if spec_augment is not None:
            mel = spec_augment(mel, mel_lengths)
        valid = mel_lengths // MEL_PER_FRAME
        x, _ = self.encoder.pre_encode(mel)
        # Whole chunks from here on; the extra frames are masked like any other padding.
        x = F.pad(x, (0, 0, 0, -frames % config.chunk_frames))
        full, half = x.shape[1], x.shape[1] // 2
        full_valid = torch.arange(full, device=x.device) < valid.unsqueeze(1)
        half_valid = torch.arange(half, device=x.device) < (valid // 2).unsqueeze(1)

        probabilities, visible, saved = None, None, x
        for block, layer in enumerate(self.encoder.layers):
            frame_valid = half_valid if config.is_half_rate(block) else full_valid
            if config.owns_scores(block):
                visible = window_mask(frame_valid, config.block_chunk(block), config.left_context(block))
            x, probabilities, _, _ = layer(x, probabilities, visible, frame_valid)
            if block == config.reduction_after:
                saved = x
                # The public code reduces exactly `frames` frames, and a zero one after an odd number.
                cut = F.pad(x[:, :frames], (0, 0, 0, full - frames))
                x = self.encoder.temportal_reduction(cut)
            if block == config.upsample_after:
                x = x.repeat_interleave(2, dim=1) + saved
        return self.decoder(x[:, :frames]), valid // 2 * 2

    def initial_state(self, batch: int, dtype: torch.dtype = torch.float16) -> Tensor:
        """Return the state of `batch` new streams: zeros [batch, state_size]."""
        return torch.zeros(batch, self.config.state_size, dtype=dtype, device=self.features.basis.device)

    def step(self, signal: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run one chunk of every stream.

        Args:
            signal: integers [B, chunk_samples] or [B, chunk_samples, 1], -32768..32767.
            state: [B, state_size], float16 in the public contract; float32 keeps it exact.

        Returns:
            float32 [B, chunk_frames, n_classes] natural-log probabilities; the next state, dtype of `state`.
        """
        config, batch = self.config, len(signal)
        part = {
            name: state[:, start:stop].reshape(batch, *shape)
            for (name, shape), (start, stop) in zip(config.state_parts, config.state_offsets.values(), strict=True)
        }
        waveform = signal.reshape(batch, config.chunk_samples).float() / SAMPLE_SCALE
        mel = self.features(torch.cat([part["samples"].float(), waveform], dim=1))
        x, (mel_past, conv_past) = self.encoder.pre_encode(mel, (part["subsampling1"], part["subsampling2"]))

        cached = part["attention_length"].float()
        probabilities, saved = None, x
        convolution: list[Tensor] = []
        attention: list[Tensor] = []
        for block, layer in enumerate(self.encoder.layers):
            left = config.left_context(block)
            visible, cache = None, None
            if left:
                cache = part["attention"][:, block - config.upsample_after, -left:]
                visible = self._cache_mask(cached, block)
            x, probabilities, attended, convolved = layer(
                x, probabilities, visible, None, cache, part["convolution"][:, block]
            )
            convolution.append(convolved)
            if cache is not None:
                rows = torch.cat([cache.to(attended.dtype), attended], dim=1)[:, -left:]
                attention.append(F.pad(rows, (0, 0, config.attention_cache - left, 0)))
            if block == config.reduction_after:
                saved = x
                x = self.encoder.temportal_reduction(x, part["reduction"])
            if block == config.upsample_after:
                x = x.repeat_interleave(2, dim=1) + saved
        following = {
            "attention_length": (cached + config.chunk_frames).clamp(max=config.attention_cache),
            "samples": waveform[:, -HOP:],
            "attention": torch.stack(attention, dim=1),
            "convolution": torch.stack(convolution, dim=1),
            "subsampling1": mel_past,
            "subsampling2": conv_past,
            "reduction": saved[:, -1:].transpose(1, 2),
        }
        state_next = torch.cat([following[name].flatten(1).to(state.dtype) for name in part], dim=1)
        return self.decoder(x), state_next

    def _cache_mask(self, cached: Tensor, block: int) -> Tensor:
        """Return bool [B, 1, 1, 1, window]: False where the cache of a block is not filled yet."""
        left = self.config.left_context(block)
        key = torch.arange(left + self.config.block_chunk(block), device=cached.device)
        empty = (self.config.attention_cache - cached) * left // self.config.attention_cache
        return (key >= empty).reshape(len(cached), 1, 1, 1, -1)


def window_mask(valid: Tensor, chunk: int, left: int) -> Tensor:
    """Return which keys of its window each query may see.

    Args:
        valid: bool [B, T], T a whole number of chunks.
        chunk: frames per chunk.
        left: frames of left context, a whole number of chunks.

    Returns:
        bool [B, T // chunk, 1, chunk, left + chunk]: query and key are both valid.
    """
    queries = valid.reshape(len(valid), -1, chunk)
    chunks = queries.shape[1]
    padded = F.pad(queries, (0, 0, left // chunk, 0))
    keys = torch.cat([padded[:, i : i + chunks] for i in range(left // chunk + 1)], dim=2)
    return (queries.unsqueeze(3) & keys.unsqueeze(2)).unsqueeze(2)
