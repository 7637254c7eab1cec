"""Erlang's loss formula, and a simulation of calls that come, find a host with room or are refused, and go."""

from __future__ import annotations

import heapq
import random


def blocking(offered: float, lines: int) -> float:
    """Share of calls refused by a group of lines without a queue (Erlang B, by its stable recursion).

    Args:
        offered: mean number of calls that would be live if none was refused, in erlangs.
        lines: calls that fit.
    """
    share = 1.0
    for line in range(1, lines + 1):
        share = offered * share / (line + offered * share)
    return share


def lines_for(offered: float, target: float) -> int:
    """Fewest lines at which no more than a share `target` of calls is refused."""
    share, line = 1.0, 0
    while share > target:
        line += 1
        share = offered * share / (line + offered * share)
    return line


def simulate(
    offered: float, hosts: int, per_host: int, *, arrivals: int, choices: int = 2, tries: int = 3, seed: int = 1
) -> tuple[float, int]:
    """Let calls come as a Poisson process with exponential lengths to hosts behind a balancer.

    The balancer asks `choices` random hosts and takes the emptier one, which is what load balancers do when they do
    not know the load of all; a refused client tries again at once, elsewhere, up to `tries` times in all.

    Args:
        offered: mean number of live calls, in erlangs.
        hosts: how many.
        per_host: calls that fit on each.
        arrivals: calls to simulate after the beginning, which is a full steady state.
        choices: hosts the balancer compares.
        tries: attempts per call.
        seed: of the random numbers.

    Returns:
        The share of calls refused, and the most calls live on one host.
    """
    draw = random.Random(seed)  # noqa: S311
    live = [0] * hosts
    leaving: list[tuple[float, int]] = []
    now = 0.0
    refused = most = 0

    def place() -> bool:
        nonlocal most
        for _ in range(tries):
            host = min((draw.randrange(hosts) for _ in range(choices)), key=live.__getitem__)
            if live[host] < per_host:
                live[host] += 1
                most = max(most, live[host])
                heapq.heappush(leaving, (now + draw.expovariate(1.0), host))
                return True
        return False

    for _ in range(round(offered)):  # exponential lengths have no memory: calls under way look like new ones
        place()
    for _ in range(arrivals):
        now += draw.expovariate(offered)
        while leaving and leaving[0][0] <= now:
            live[heapq.heappop(leaving)[1]] -= 1
        refused += not place()
    return refused / arrivals, most
