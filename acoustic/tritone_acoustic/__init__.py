"""The acoustic network in PyTorch: architecture, data, training, export. Serving never imports it."""
