"""Blocks of transformers, with the names that timm, DINO and GroupViT give their entries."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layers(nn.Module):
    """Two linear layers with GELU between them.

    Examples
    --------
    >>> tuple(Layers(4, 16, 3)(torch.zeros(2, 5, 4)).shape)
    (2, 5, 3)
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., inputs)`` to ``(..., outputs)``."""
        layered: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return layered


class SelfAttention(nn.Module):
    """Attention of tokens to each other, in several heads; their number divides `dimension`."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Linear(dimension, 3 * dimension)
        self.proj = nn.Linear(dimension, dimension)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, D)`` to tokens."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        projected: Tensor = self.proj(attended(query, key, value, self._heads))
        return projected


class Block(nn.Module):
    """A block of a transformer that normalises before attention and layers, and adds after both.

    Examples
    --------
    >>> tuple(Block(12, heads=3)(torch.zeros(2, 5, 12)).shape)
    (2, 5, 12)
    """

    def __init__(self, dimension: int, heads: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dimension, eps=epsilon)
        self.attn = SelfAttention(dimension, heads)
        self.norm2 = nn.LayerNorm(dimension, eps=epsilon)
        self.mlp = Layers(dimension, 4 * dimension, dimension)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens ``(B, N, D)`` to tokens."""
        x = x + self.attn(self.norm1(x))
        summed: Tensor = x + self.mlp(self.norm2(x))
        return summed


class VisionTransformer(nn.Module):
    """A vision transformer as DINO has it, for squares of one size.

    Examples
    --------
    >>> network = VisionTransformer(side=32, patch=8, dimension=12, depth=1, heads=3)
    >>> tuple(network(torch.zeros(2, 3, 32, 32)).shape)
    (2, 12, 4, 4)
    """

    def __init__(
        self,
        *,
        side: int,
        patch: int,
        dimension: int,
        depth: int,
        heads: int,
        epsilon: float = 1e-6,
    ) -> None:
        super().__init__()
        self._grid = side // patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dimension))
        self.pos_embed = nn.Parameter(torch.zeros(1, self._grid**2 + 1, dimension))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dimension, patch, stride=patch)})
        self.blocks = nn.ModuleList(Block(dimension, heads, epsilon) for _ in range(depth))
        self.norm = nn.LayerNorm(dimension, eps=epsilon)

    def forward(self, images: Tensor) -> Tensor:
        """Map images ``(B, 3, side, side)`` to normalised tokens of patches, ``(B, D, h, w)``."""
        patches = self.patch_embed["proj"](images).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(images), -1, -1)
        x = torch.cat([first, patches], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        tokens: Tensor = self.norm(x)[:, 1:].transpose(1, 2)
        return tokens.reshape(*tokens.shape[:2], self._grid, self._grid)


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """What queries ``(B, N, D)`` gather of values ``(B, M, D)`` by keys, each head for itself.

    Examples
    --------
    >>> value = torch.tensor([[[1.0, 5.0], [3.0, 7.0]]])
    >>> attended(torch.zeros(1, 1, 2), torch.zeros(1, 2, 2), value, heads=2)
    tensor([[[2., 6.]]])
    """
    parts = [each.view(*each.shape[:2], heads, -1).transpose(1, 2) for each in (query, key, value)]
    found = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
    return found.transpose(1, 2).flatten(2)
