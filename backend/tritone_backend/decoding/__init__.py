"""From log-probs to words: greedy on every chunk, a beam search with a language model beside it."""

from tritone_backend.decoding.greedy import FrameDecisions, GreedyDecoder
from tritone_backend.decoding.words import DecodedPhrase, DecodedWord, Token

__all__ = ["DecodedPhrase", "DecodedWord", "FrameDecisions", "GreedyDecoder", "Token"]
