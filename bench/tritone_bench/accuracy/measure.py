"""The course of an accuracy run: sets, a service per decoder, the peer, the record. Nothing is scored or drawn here."""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tritone_bench import machine, results
from tritone_bench.accuracy import decoders, pages, peer, record, sets, streaming
from tritone_bench.accuracy.command import chosen_sets
from tritone_bench.accuracy.cost import Clock
from tritone_bench.accuracy.delays import Delays
from tritone_bench.accuracy.record import Record, System
from tritone_bench.errors import BenchError
from tritone_bench.fleet import Interrupted
from tritone_bench.screen import Screen, out
from tritone_bench.usage import UsageMeter, total_cores

LEAST_PACED_WORDS = 3
LATE_FINALS = "tritone_degraded_total"


def run(args: argparse.Namespace) -> int:
    """Measure, print, write the report.

    Returns:
        The exit status, 0.

    Raises:
        BenchError: a set, a package or the service is missing; what was measured before is written all the same.
    """
    screen = Screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing is left running
    if args.peer:
        peer.check()
    wanted = decoders.parse(args.decoders, args.server, str(args.model))
    chosen = chosen_sets(args)
    kept = _Run(args, screen, chosen)
    try:
        try:
            for name in wanted:
                kept.decoder(name)
            if args.peer:
                kept.peer()
        except (BenchError, KeyboardInterrupt) as error:
            problem = error if isinstance(error, BenchError) else Interrupted()
            kept.record.error = problem.user_message
            screen.clear()
            if kept.systems:
                kept.keep()
                screen.say(f"partial report: {kept.folder}")
            raise problem from None
        kept.keep()
    finally:
        screen.clear()
        results.discard_if_empty(kept.folder)
    out(*pages.screen(kept.record), f"report    {kept.folder / 'report.html'}")
    return 0


class _Run:
    """What a run has so far."""

    def __init__(self, args: argparse.Namespace, screen: Screen, chosen: list[sets.ClipSet]) -> None:
        self._args = args
        self._screen = screen
        self._sets = chosen
        self._clips = sets.unique(chosen)
        self._began = time.monotonic()
        self.systems: list[System] = []
        when = results.now()
        self.folder = results.prepare_folder(args.out or results.default_folder(), when, "accuracy")
        others = machine.busy_cores()
        if others > 0.25 * total_cores():
            screen.say(f"other programs keep {others:.1f} cores busy: wall times and delays will be longer for it")
        self.record = Record(
            when=when,
            host=machine.host_name(),
            command=shlex.join(["tritone", "bench", "accuracy", *_shown(sys.argv)]),
            revision=machine.revision(),
            machine=machine.machine(),
            versions=machine.versions(),
            settings={
                "clips": f"{len(self._clips)}, {sum(clip.seconds for clip in self._clips) / 60:.1f} min",
                "streams at once": f"{args.streams} for the words, {args.paced_streams} for the delays",
                "seed": str(args.seed),
                "other programs at the beginning": f"{others:.1f} of {total_cores()} cores",
            },
            sets={one.name: f"{one.title} ({len(one.clips)} clips, {one.fingerprint})" for one in chosen},
        )

    def decoder(self, name: str) -> None:
        """Let a service with a decoder hear everything for its words, then a part at a call's pace for the delays."""
        args, say = self._args, self._screen.say
        say(f"{name}: {len(self._clips)} clips")
        with decoders.service(name, args, say, patient=True) as service:
            clock = Clock(service.root)
            heard = streaming.recognise(
                service.address, self._clips, args.streams, paced=False, progress=self._progress(name)
            )
            folder = Path(service.parameters.get("model", "-"))
            size = decoders.model_mib(folder, with_language_model=name in ("beam+lm", "service"))
            cost = clock.cost(sum(clip.seconds for clip in self._clips), size)
            memory = UsageMeter(service.root, "").memory_mib
            self.record.settings.setdefault("model", f"{folder.name} {decoders.model_fingerprint(folder)}".strip())
            self.record.settings.setdefault("service", service.ready_line.removeprefix("tritone: ") or service.version)
        system = System(name, decoders.ABOUT[name], heard, cost, memory_mib=memory)
        self.systems.append(system)
        paced = _paced(self._sets, args.paced, args.seed)
        if not paced:
            return
        with decoders.service(name, args, say, patient=False) as service:
            said = streaming.recognise(
                service.address,
                paced,
                args.paced_streams,
                paced=True,
                progress=self._progress(f"{name} at a call's pace"),
            )
            system.late_finals = UsageMeter(None, service.metrics_url).counters().get(LATE_FINALS)
        system.delays = Delays()
        for one in said.values():
            system.delays.add(one.shown)

    def peer(self) -> None:
        """Let the peer hear the same, or a part of it."""
        clips = sets.unique([sets.sample(one, self._args.peer_limit, self._args.seed) for one in self._sets])
        folder = self._args.cache or peer.default_cache()
        heard, cost = peer.recognise(clips, folder, self._progress(peer.NAME))
        self.systems.append(System(peer.NAME, peer.ABOUT, heard, cost))

    def keep(self) -> None:
        """Score everything and write the report."""
        self.record.settings["duration"] = f"{time.monotonic() - self._began:.0f} s"
        first = self.systems[0]
        fair = [record.common(one, self.systems) for one in self._sets]
        partial = any(len(one.clips) < len(all_.clips) for one, all_ in zip(fair, self._sets, strict=True))
        # Where a system heard fewer clips, all are compared on those: rates of different clips say nothing.
        for one in fair if partial else self._sets:
            scored = [record.score(one, system, first) for system in self.systems]
            self.record.scores += [score for score in scored if score is not None]
        if partial:
            self.record.settings["scored"] = "clips that every system heard"
            for one, less in zip(self._sets, fair, strict=True):
                if len(less.clips) < len(one.clips):
                    whole = sets.ClipSet(f"{one.name} (all)", one.title, one.clips)
                    self.record.sets[whole.name] = f"{self.record.sets[one.name]}; all clips"
                    scored = [record.score(whole, system, first) for system in self.systems[:-1]]
                    self.record.scores += [score for score in scored if score is not None]
        self.record.systems = [record.described(system) for system in self.systems]
        pages.write(self.folder, self.record)
        record.save(self.folder, self.record, self._sets, self.systems)

    def _progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, all_: self._screen.show(f"  {what}: {done} of {all_} clips")


def _paced(chosen: Sequence[sets.ClipSet], most: int, seed: int) -> list[sets.Clip]:
    """Clips for the delays: about as many of each set, no single words, in an order without sets in a row."""
    if not most:
        return []
    draw = random.Random(seed)  # noqa: S311
    picked: dict[str, sets.Clip] = {}
    for one in chosen:
        fit = [clip for clip in one.clips if len(clip.text.split()) >= LEAST_PACED_WORDS]
        for clip in draw.sample(fit, min(len(fit), -(-most // len(chosen)))):
            picked[clip.key] = clip
    order = list(picked.values())
    draw.shuffle(order)
    return order[:most]


def _shown(argv: list[str]) -> list[str]:
    """The words after the sub-command, with paths cut to their names."""
    words = argv[argv.index("accuracy") + 1 :] if "accuracy" in argv else []
    return [Path(word).name if "/" in word else word for word in words]
