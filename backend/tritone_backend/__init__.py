"""What runs inside Triton: engines, stream state, endpointing, decoding; and the launcher of the server."""
