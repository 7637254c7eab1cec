"""The n-gram language model for decoding, estimated from the training texts. How a decoder uses it is the backend's."""
