"""Data with captions whose draws are known, for hand-written loops of text to image."""

from __future__ import annotations

import torch
from reference.loops import Known

VECTORS, PROMPTS = 5, 7


class Captioned(Known):
    """Known batches with captions of two words."""

    held_captions = torch.empty(0)

    def __init__(self, shape):
        super().__init__(shape, PROMPTS)
        rng = torch.Generator().manual_seed(8)
        self.prompts = torch.stack([torch.arange(PROMPTS), torch.arange(PROMPTS) + 10], 1)
        self._vectors = torch.randn(PROMPTS, VECTORS, generator=rng)

    @property
    def held_out(self):
        return torch.empty((0, *self.shape))

    @property
    def captions(self):
        return self.prompts

    def numbers(self, tokens):
        return tokens[:, 0]

    def encode(self, tokens):
        return self._vectors[self.numbers(tokens)]

    def captioned_batches(self):
        return Told(self.labelled_batches(), self.prompts)

    def asked(self, n, rng):
        return self.prompts[torch.randint(PROMPTS, (n,), generator=rng)]

    def others(self, tokens, rng):
        """Images that tell what they were asked to be others of."""
        noise = torch.rand((len(tokens), *self.shape), generator=rng)
        return 0.5 * noise + 0.05 * self.numbers(tokens)[:, None, None, None]


class Told:
    """A stream with captions for labels."""

    def __init__(self, stream, prompts):
        self._stream, self._prompts = stream, prompts

    def next(self, n):
        images, labels = self._stream.next(n)
        return images, self._prompts[labels]

    def position(self):
        return self._stream.position()

    def seek(self, position):
        self._stream.seek(position)
