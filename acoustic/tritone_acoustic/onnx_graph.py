"""The streaming step of the network as an ONNX graph, laid out for speed rather than traced.

Activations stay rows of [batch * frames, width] so that every linear layer is one matrix product without transposes;
all shapes but the batch are constants. Writing files and checking them is done in export.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tritone_acoustic.config import HOP, MEL_PER_FRAME, AcousticConfig
from tritone_acoustic.features import GUARD, WINDOW, mel_filterbank, spectrum_basis
from tritone_acoustic.onnx_builder import GraphBuilder
from tritone_acoustic.rotary import rotary_tables

SAMPLE_SCALE = 32767.0
NORM_EPS = 1e-16
"""Under the root: the square of the public epsilon, which stands outside it (see blocks.RMSNorm)."""
LAYER_NORM_EPS = 1e-5
HIDDEN_SCORE = -10000.0


def build_model(
    config: AcousticConfig,
    weights: Mapping[str, NDArray[Any]],
    *,
    half: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """Describe one chunk of every stream of a batch.

    Args:
        config: sizes of the network.
        weights: all parameters and running statistics under their public names, float32.
        half: store the matrices and kernels as float16; arithmetic is float32 either way.
        metadata: notes to store in the file.

    Returns:
        A model with inputs `signal` int32 [batch, chunk_samples, 1] and `state` float16 [batch, state_size], outputs
        `logprobs` float32 [batch, chunk_frames, n_classes] and `state_next` float16 [batch, state_size].
    """
    return _StepGraph(config, GraphBuilder(weights, half=half)).build(metadata or {})


class _StepGraph:
    """Writes the graph part by part; `past` holds the parts of the incoming state, `following` of the next one."""

    def __init__(self, config: AcousticConfig, graph: GraphBuilder) -> None:
        self.config, self.g = config, graph
        self.past: dict[str, str] = {}
        self.following: dict[str, str] = {}

    def build(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        config, g = self.config, self.g
        self._split_state()
        x = self._pre_encode(self._log_mel())
        probabilities, saved = "", x
        for block in range(config.n_layers):
            x, probabilities = self._block(x, block, probabilities)
            if block == config.reduction_after:
                saved = x
                x = self._reduce(x)
            if block == config.upsample_after:
                # Each half-rate frame meets the two full-rate frames it came from: a broadcast, not a copy.
                pairs = g.reshape(saved, -1, 2, config.d_model)
                x = g.reshape(g.op("Add", g.reshape(x, -1, 1, config.d_model), pairs), -1, config.d_model)
        classes = self._pointwise(x, "decoder.decoder_layers.0", config.n_classes, config.d_model)
        logprobs = g.reshape(g.op("LogSoftmax", classes, axis=-1), -1, config.chunk_frames, config.n_classes)
        g.rename(logprobs, "logprobs")
        g.rename(self._join_state(), "state_next")
        state = ["batch", config.state_size]
        return g.model(
            [
                helper.make_tensor_value_info("signal", TensorProto.INT32, ["batch", config.chunk_samples, 1]),
                helper.make_tensor_value_info("state", TensorProto.FLOAT16, state),
            ],
            [
                helper.make_tensor_value_info(
                    "logprobs", TensorProto.FLOAT, ["batch", config.chunk_frames, config.n_classes]
                ),
                helper.make_tensor_value_info("state_next", TensorProto.FLOAT16, state),
            ],
            metadata,
        )

    def _state_layout(self) -> list[tuple[str, int]]:
        """Return name and size of the pieces the graph works with, in state order."""
        config = self.config
        layout = []
        for name, shape in config.state_parts:
            if name == "attention":
                for block in range(config.upsample_after, config.n_layers):
                    left = config.left_context(block)
                    unused = config.attention_cache - left
                    if unused:  # the half-rate cache has half as many rows; the others stay as they are: zero
                        layout.append((f"unused.{block}", unused * config.d_model))
                    layout.append((f"attention.{block}", left * config.d_model))
            elif name == "convolution":
                size = shape[1] * shape[2]
                layout += [(f"convolution.{block}", size) for block in range(config.n_layers)]
            else:
                layout.append((name, int(np.prod(shape))))
        return layout

    def _split_state(self) -> None:
        g, layout = self.g, self._state_layout()
        parts = g.split("state", 1, [size for _, size in layout])
        self.past = {
            name: part if name.startswith("unused") else g.op("Cast", part, to=TensorProto.FLOAT)
            for (name, _), part in zip(layout, parts, strict=True)
        }

    def _join_state(self) -> str:
        config, g = self.config, self.g
        length = g.op("Add", self.past["attention_length"], g.number(config.chunk_frames))
        self.following["attention_length"] = g.op("Min", length, g.number(config.attention_cache))
        parts = [
            self.past[name]
            if name.startswith("unused")
            else g.op("Cast", g.reshape(self.following[name], -1, size), to=TensorProto.FLOAT16)
            for name, size in self._state_layout()
        ]
        return g.concat(1, *parts)

    def _log_mel(self) -> str:
        """Return log-mel frames [batch, chunk_mels, n_mels]."""
        config, g = self.config, self.g
        samples = g.reshape(g.op("Cast", "signal", to=TensorProto.FLOAT), -1, config.chunk_samples)
        samples = g.concat(1, self.past["samples"], g.op("Div", samples, g.number(SAMPLE_SCALE)))
        self.following["samples"] = g.slice(samples, 1, config.chunk_samples, config.chunk_samples + HOP)
        hops = g.reshape(samples, -1, config.chunk_mels + 1, HOP)
        frames = g.concat(2, g.slice(hops, 1, 0, config.chunk_mels), g.slice(hops, 1, 1, config.chunk_mels + 1))
        spectrum = g.op("MatMul", g.reshape(frames, -1, WINDOW), g.constant(spectrum_basis().T))
        # Stacking the filters twice adds the squares of real and imaginary parts inside the product.
        filters = np.tile(mel_filterbank(config.n_mels), 2).T
        energy = g.op("MatMul", g.op("Mul", spectrum, spectrum), g.constant(filters))
        return g.op("Log", g.op("Add", energy, g.number(GUARD)))

    def _pre_encode(self, mel: str) -> str:
        """Return the input of the first block, rows of [batch * chunk_frames, d_model]."""
        config, g = self.config, self.g
        stem, history = "encoder.pre_encode", config.subsampling_history
        first, second = config.subsampling_channels
        widths = config.mel_widths
        mel = g.reshape(self._rms_norm(mel, f"{stem}.pre_norm"), -1, 1, config.chunk_mels, config.n_mels)
        x = g.concat(2, g.reshape(self.past["subsampling1"], -1, 1, history[0], config.n_mels), mel)
        self.following["subsampling1"] = g.slice(x, 2, config.chunk_mels, config.chunk_mels + history[0])
        x = self._convolve(x, g.weight(f"{stem}.conv.0.0.weight"), f"{stem}.conv.0.0", f"{stem}.conv.0.1")
        x = g.concat(2, g.reshape(self.past["subsampling2"], -1, first, history[1], widths[0]), x)
        self.following["subsampling2"] = g.slice(x, 2, config.chunk_mels, config.chunk_mels + history[1])
        kernel = g.weight(f"{stem}.conv.1.0.weight")
        x = self._convolve(x, kernel, f"{stem}.conv.1.0", f"{stem}.conv.1.1", strides=[MEL_PER_FRAME, 1])
        x = g.reshape(g.transpose(x, 0, 2, 1, 3), -1, second * widths[1])
        return self._rms_norm(self.g.op("Gemm", x, g.weight(f"{stem}.out.weight"), transB=1), f"{stem}.out_norm")

    def _convolve(self, x: str, kernel: str, conv: str, norm: str, **attributes: Any) -> str:
        """Convolution, batch norm, SiLU."""
        g = self.g
        x = g.op("Conv", x, kernel, g.weight(f"{conv}.bias"), **attributes)
        statistics = [g.weight(f"{norm}.{name}") for name in ("weight", "bias", "running_mean", "running_var")]
        return self._silu(g.op("BatchNormalization", x, *statistics, epsilon=LAYER_NORM_EPS))

    def _silu(self, x: str) -> str:
        return self.g.op("Mul", x, self.g.op("Sigmoid", x))

    def _rms_norm(self, x: str, stem: str) -> str:
        """Normalise the last axis, in the form that ONNX Runtime fuses into one kernel."""
        g = self.g
        mean = g.op("ReduceMean", g.op("Pow", x, g.number(2.0)), axes=[-1], keepdims=1)
        root = g.op("Sqrt", g.op("Add", mean, g.number(NORM_EPS)))
        return g.op("Mul", g.op("Div", x, root), g.weight(f"{stem}.weight"))

    def _linear(self, x: str, stem: str, scale: float = 1.0) -> str:
        g = self.g
        scaled = {} if scale == 1.0 else {"alpha": scale, "beta": scale}
        return g.op("Gemm", x, g.weight(f"{stem}.weight"), g.weight(f"{stem}.bias"), transB=1, **scaled)

    def _pointwise(self, x: str, stem: str, outputs: int, inputs: int) -> str:
        """Linear layer whose weight is stored as a convolution of kernel 1."""
        g = self.g
        weight = g.reshape(g.weight(f"{stem}.weight"), outputs, inputs)
        return g.op("Gemm", x, weight, g.weight(f"{stem}.bias"), transB=1)

    def _block(self, x: str, block: int, probabilities: str) -> tuple[str, str]:
        g, stem = self.g, f"encoder.layers.{block}"
        x = g.op("Add", x, self._feed_forward(self._rms_norm(x, f"{stem}.norm_feed_forward1"), f"{stem}.feed_forward1"))
        h = self._rms_norm(x, f"{stem}.norm_self_att")
        attention, probabilities = self._attention(h, block, probabilities)
        x = g.op("Add", x, attention)
        x = g.op("Add", x, self._convolution(self._rms_norm(x, f"{stem}.norm_conv"), block))
        x = g.op("Add", x, self._feed_forward(self._rms_norm(x, f"{stem}.norm_feed_forward2"), f"{stem}.feed_forward2"))
        return self._rms_norm(x, f"{stem}.norm_out"), probabilities

    def _feed_forward(self, x: str, stem: str) -> str:
        """Half of the gated feed-forward module's output."""
        gated = self.g.op("Mul", self._silu(self._linear(x, f"{stem}.linear1")), self._linear(x, f"{stem}.linearv"))
        return self._linear(gated, f"{stem}.linear2", scale=0.5)

    def _attention(self, h: str, block: int, probabilities: str) -> tuple[str, str]:
        config, g = self.config, self.g
        stem, d = f"encoder.layers.{block}.self_attn", config.d_model
        chunk, left = config.block_chunk(block), config.left_context(block)
        memory = h
        if left:
            rows = g.concat(1, g.reshape(self.past[f"attention.{block}"], -1, left, d), g.reshape(h, -1, chunk, d))
            self.following[f"attention.{block}"] = g.slice(rows, 1, chunk, chunk + left)
            memory = g.reshape(rows, -1, d)
        if config.owns_scores(block):
            probabilities = self._probabilities(h, memory, block)
        values = self._heads(self._linear(memory, f"{stem}.linear_v"), left + chunk)
        mixed = g.op("MatMul", probabilities, g.transpose(values, 0, 2, 1, 3))
        mixed = g.reshape(g.transpose(mixed, 0, 2, 1, 3), -1, d)
        return self._linear(mixed, f"{stem}.linear_out"), probabilities

    def _heads(self, x: str, frames: int) -> str:
        return self.g.reshape(x, -1, frames, self.config.n_heads, self.config.head_dim)

    def _probabilities(self, h: str, memory: str, block: int) -> str:
        """Return attention probabilities [batch, heads, chunk, left + chunk]."""
        config, g = self.config, self.g
        stem = f"encoder.layers.{block}.self_attn"
        chunk, left = config.block_chunk(block), config.left_context(block)
        queries = self._position(h, f"{stem}.linear_q", f"{stem}.q_ln", 0, chunk, config.head_dim**-0.5)
        keys = self._position(memory, f"{stem}.linear_k", f"{stem}.k_ln", -left, chunk, 1.0)
        scores = g.op("MatMul", g.transpose(queries, 0, 2, 1, 3), g.transpose(keys, 0, 2, 3, 1))
        if left:
            # Cache rows that no chunk has filled yet are not silence: they must not be seen at all.
            free = g.op("Sub", g.number(config.attention_cache), self.past["attention_length"])
            empty = g.reshape(g.op("Mul", free, g.number(left / config.attention_cache)), -1, 1, 1, 1)
            hidden = g.op("Less", g.constant(np.arange(left + chunk, dtype=np.float32)), empty)
            scores = g.op("Where", hidden, g.number(HIDDEN_SCORE), scores)
        return g.op("Softmax", scores, axis=-1)

    def _position(self, x: str, linear: str, norm: str, start: int, stop: int, scale: float) -> str:
        """Project, normalise each head and rotate it by its frame's position: [batch, frames, heads, head_dim]."""
        config, g = self.config, self.g
        x = self._heads(self._linear(x, linear), stop - start)
        x = g.op(
            "LayerNormalization",
            x,
            g.weight(f"{norm}.weight"),
            g.weight(f"{norm}.bias"),
            axis=-1,
            epsilon=LAYER_NORM_EPS,
        )
        cosine, sine, turn = rotary_tables(config, start, stop)
        straight = g.op("Mul", x, g.constant(cosine * np.float32(scale)))
        across = g.op("Mul", g.op("MatMul", x, g.constant(turn)), g.constant(sine * np.float32(scale)))
        return g.op("Add", straight, across)

    def _convolution(self, x: str, block: int) -> str:
        config, g = self.config, self.g
        stem, d = f"encoder.layers.{block}.conv", config.d_model
        chunk, past = config.block_chunk(block), config.conv_kernel - 1
        value, gate = g.split(self._pointwise(x, f"{stem}.pointwise_conv1", 2 * d, d), 1, [d, d])
        gated = g.reshape(g.op("Mul", value, g.op("Sigmoid", gate)), -1, 1, chunk, d)
        history = g.reshape(self.past[f"convolution.{block}"], -1, d, 1, past)
        columns = g.concat(3, history, g.transpose(gated, 0, 3, 1, 2))
        self.following[f"convolution.{block}"] = g.slice(columns, 3, chunk, chunk + past)
        # As a picture of height 1: ONNX Runtime vectorises depthwise convolutions only in two dimensions (17 times
        # as fast).
        kernel = g.reshape(g.weight(f"{stem}.depthwise_conv.conv.weight"), d, 1, 1, past + 1)
        mixed = self._convolve(columns, kernel, f"{stem}.depthwise_conv.conv", f"{stem}.batch_norm", group=d)
        return self._pointwise(g.reshape(g.transpose(mixed, 0, 2, 3, 1), -1, d), f"{stem}.pointwise_conv2", d, d)

    def _reduce(self, x: str) -> str:
        """Halve the rate; the depthwise convolution has three taps and is cheapest as three products."""
        config, g = self.config, self.g
        stem, d, frames = "encoder.temportal_reduction", config.d_model, config.chunk_frames
        rows = g.concat(1, g.reshape(self.past["reduction"], -1, 1, d), g.reshape(x, -1, frames, d))
        self.following["reduction"] = g.slice(rows, 1, frames, frames + 1)
        taps = g.split(g.transpose(g.reshape(g.weight(f"{stem}.conv.weight"), d, 4, 3), 2, 0, 1), 0, [1, 1, 1])
        wide = g.reshape(g.weight(f"{stem}.conv.bias"), d, 4)
        for tap, weight in enumerate(taps):
            column = g.op("Slice", rows, g.integers(tap), g.integers(tap + frames - 1), g.integers(1), g.integers(2))
            wide = g.op("Add", wide, g.op("Mul", g.reshape(column, -1, d, 1), weight))
        return self._pointwise(g.reshape(wide, -1, 4 * d), f"{stem}.conv_pw", d, 4 * d)
