"""TensorRT and TensorRT for RTX: plans built ahead of time from the ONNX graph, run over the torch engine's pool."""
