"""The recipe of the default model: sizes, optimisation, curriculum, proportions.

Only numbers; the code that uses them is in the modules beside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tritone_acoustic.config import AcousticConfig
from tritone_acoustic.data.channel import ChannelSettings
from tritone_acoustic.training.voice_change import VoiceSettings

MODELS: dict[str, dict[str, Any]] = {
    # 9.7 M parameters: under 20 MB in float16, so that it can ship in the repository.
    "default": {
        "d_model": 192,
        "n_layers": 12,
        "n_heads": 6,
        "ff_dim": 480,
        "reduction_after": 4,
        "upsample_after": 10,
        "subsampling_channels": (16, 32),
        "dropout": 0.05,
    },
    # For tests and dry runs on a CPU.
    "tiny": {
        "d_model": 32,
        "n_layers": 4,
        "n_heads": 2,
        "ff_dim": 48,
        "reduction_after": 0,
        "upsample_after": 2,
        "subsampling_channels": (4, 8),
        "rope_dim": 16,
        "dropout": 0.0,
    },
}


def model_config(name: str) -> AcousticConfig:
    """Returns the architecture of a recipe.

    Args:
        name: a key of MODELS.

    Returns:
        The configuration.
    """
    return AcousticConfig(**MODELS[name])


@dataclass(frozen=True)
class Bucket:
    """One fixed batch shape.

    Attributes:
        rows: rows per batch.
        samples: samples per row, a multiple of 2400 (the chunk).
        utterances: most utterances per row.
        until: share of the time budget up to which this bucket is used.
    """

    rows: int
    samples: int
    utterances: int
    until: float


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how the network is trained, beside the architecture.

    Attributes:
        buckets: batch shapes in the order of use: short rows first, so that the alignment is found quickly.
        peak_rate: highest learning rate.
        final_rate: learning rate at the end, as a share of the peak.
        warmup_steps: steps of linear rise.
        weight_decay: of matrices only.
        betas: AdamW moments.
        clip_norm: largest gradient norm.
        ema: decay of the averaged weights, once warmed up.
        recorded: share of recorded (not synthesised) Russian utterances.
        foreign: share of recorded utterances in other languages, respelt; none where a bundle has no such set.
        neural: share of utterances in neural voices of other languages; none where a bundle has no such set.
        silence: share of rows without any utterance.
        pad: digital silence at both ends of a row in samples: the stream is fed one zero chunk before and after.
        speed: range of the playback speed when a synthesised utterance is drawn (its voice is varied already).
        recorded_speed: the same for recorded utterances.
        time_masks: SpecAugment masks along time, and their largest width in 10 ms frames.
        band_masks: SpecAugment masks along mel, and their largest width.
        early: weight of the push towards writing earlier (see `learner`), while the network is late; ten times as
            much ran away (docs/decisions.md).
        early_until: seconds behind the sound at which it is late no more.
        voice: changes of the speaker on the features.
        channel: telephone disturbances.
    """

    buckets: tuple[Bucket, ...] = (
        Bucket(rows=96, samples=38_400, utterances=2, until=0.08),
        Bucket(rows=40, samples=96_000, utterances=8, until=1.0),
    )
    peak_rate: float = 1.5e-3
    final_rate: float = 0.01
    warmup_steps: int = 400
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    ema: float = 0.999
    recorded: float = 0.15
    foreign: float = 0.06
    neural: float = 0.12
    silence: float = 0.05
    pad: int = 2400
    speed: tuple[float, float] = (0.9, 1.12)
    recorded_speed: tuple[float, float] = (0.82, 1.25)
    time_masks: tuple[int, int] = (5, 30)
    band_masks: tuple[int, int] = (2, 12)
    early: float = 0.003
    early_until: float = 0.22
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    channel: ChannelSettings = field(default_factory=ChannelSettings)


RECIPES: dict[str, Recipe] = {
    "default": Recipe(),
    "tiny": Recipe(
        buckets=(
            Bucket(rows=3, samples=24_000, utterances=1, until=0.3),
            Bucket(rows=2, samples=38_400, utterances=3, until=1.0),
        ),
        warmup_steps=10,
        ema=0.9,
    ),
}
