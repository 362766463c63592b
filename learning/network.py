"""The proposer's network: features to a mixture of Gaussians over whitened chunks. Needs torch: for training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LOG_STD_RANGE = (-5.0, 1.5)


class MixtureNetwork(nn.Module):
    """Two hidden layers, three heads; a linear path from the features to every component's mean carries what is linear."""

    def __init__(self, features: int, rank: int, components: int, hidden: int) -> None:
        """Build for `features` inputs and mixtures over `rank` coordinates."""
        super().__init__()
        self.components, self.rank = components, rank
        self.trunk = nn.Sequential(nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.linear = nn.Linear(features, rank, bias=False)
        self.logits = nn.Linear(hidden, components)
        self.mean = nn.Linear(hidden, components * rank)
        self.log_std = nn.Linear(hidden, components * rank)
        nn.init.zeros_(self.linear.weight)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixture logits (b, M), mean and log_std (b, M, r) for normalised features (b, d)."""
        shape = (-1, self.components, self.rank)
        hidden = self.trunk(features)
        mean = self.mean(hidden).reshape(shape) + self.linear(features).unsqueeze(1)
        log_std = self.log_std(hidden).reshape(shape).clamp(*LOG_STD_RANGE)
        return self.logits(hidden), mean, log_std


def mixture_nll(z: Tensor, logits: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Mean negative log density of z (b, r) under mixtures as `MixtureNetwork.forward` gives them, nats."""
    standard = (z.unsqueeze(1) - mean) * torch.exp(-log_std)
    parts = -0.5 * standard.square().sum(-1) - log_std.sum(-1) + torch.log_softmax(logits, dim=-1)
    constant = 0.5 * z.shape[-1] * torch.log(torch.tensor(2 * torch.pi))
    return constant - torch.logsumexp(parts, dim=-1).mean()
