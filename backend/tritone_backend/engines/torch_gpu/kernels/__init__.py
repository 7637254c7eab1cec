"""The fused steps as GPU kernels in Triton's language. What each computes is stated, in PyTorch, in plain_ops.py."""
