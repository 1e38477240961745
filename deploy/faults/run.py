"""The campaign: episodes by seed over all cores, in shards that are kept, so that a long one may be interrupted."""

from __future__ import annotations

import argparse
import gc
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from autoscaler.telemetry import configure_logging
from faults.episode import Outcome, play
from faults.report import Total, document, read, summed, table, written

HOURS = 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print what it found; 1 if anything was broken or a crash point was missed."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        total = summed([_quiet_play(options.seed, options.hours)])
        print(table(total))
        return 1 if total.broken else 0
    count = options.episodes or math.ceil(options.days * 24 / options.hours)
    try:
        total = campaign(range(options.first, options.first + count), options)
    except KeyboardInterrupt:
        print(f"faults: interrupted; finished shards are kept in {options.results}", file=sys.stderr)
        return 130
    print(table(total))
    (options.results / "faults.json").write_text(json.dumps(document(total), indent=1) + "\n", encoding="utf-8")
    print(f"faults: written to {options.results / 'faults.json'}", file=sys.stderr)
    return 1 if total.broken or total.not_hit else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults", description="The daemon on simulated clusters that go wrong.")
    parser.add_argument("--days", type=float, default=500.0, help="job-days to play (500)")
    parser.add_argument("--episodes", type=int, help="episodes to play, in place of --days")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"length of an episode ({HOURS:g}; at least 2)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="play the one episode of this seed again")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    parser.add_argument("--shard", type=int, default=30, help="episodes that are kept together (30)")
    parser.add_argument("--until-found", action="store_true", help="stop at the first violation")
    parser.add_argument("--results", type=Path, default=Path("build/faults"), help="folder of shards (build/faults)")
    return parser


def campaign(seeds: range, options: argparse.Namespace) -> Total:
    """Play all episodes but those of finished shards."""
    options.results.mkdir(parents=True, exist_ok=True)
    total = Total()
    for outcomes in _shards(seeds, options):
        for one in outcomes:
            total.add(one)
        broken = total.broken.total()
        print(
            f"faults: {total.episodes} of {len(seeds)} episodes, {total.passes:,} passes, {broken} violations",
            file=sys.stderr,
            flush=True,
        )
        if broken and options.until_found:
            break
    return total


def _shards(seeds: range, options: argparse.Namespace) -> Iterator[Sequence[Outcome]]:
    """Every shard's outcomes, those of finished ones first."""
    missing: list[tuple[range, Path]] = []
    for start in range(seeds.start, seeds.stop, options.shard):
        shard = range(start, min(start + options.shard, seeds.stop))
        path = options.results / f"{options.hours:g}h-{shard.start}-{shard.stop - 1}.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            yield [read(json.loads(line)) for line in lines]
        else:
            missing.append((shard, path))
    pool = ProcessPoolExecutor(options.workers)
    try:
        running = [pool.submit(play_shard, shard, options.hours, path) for shard, path in missing]
        for done in as_completed(running):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def play_shard(shard: range, hours: float, path: Path) -> Sequence[Outcome]:
    """Play a shard, and keep it once it is whole."""
    outcomes = [_quiet_play(seed, hours) for seed in shard]
    part = path.with_suffix(".part")
    part.write_text("".join(f"{json.dumps(written(one))}\n" for one in outcomes), encoding="utf-8")
    part.replace(path)
    return outcomes


def _quiet_play(seed: int, hours: float) -> Outcome:
    """Play one episode. What it leaves in circles is looked for once, at its end and only among what it made: to do so
    all along costs a fifth."""
    configure_logging("json", "error", io.StringIO())
    gc.disable()
    gc.freeze()
    try:
        return play(seed, hours)
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
