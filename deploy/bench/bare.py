"""The least a Python program can do to make the same calls: one session, ``get``, ``json``; nothing is kept.

Reads ``{"base": ..., "calls": [[seconds, path], ...], "paced": false}`` from standard input and prints the processor
seconds the loop used. Paced, each call waits for its time, as the daemon's calls came.
"""

from __future__ import annotations

import json
import sys
import time

import requests


def main() -> None:
    job = json.load(sys.stdin)
    base, calls, paced = job["base"], [(at, job["base"] + path) for at, path in job["calls"]], job["paced"]
    session = requests.Session()
    session.get(f"{base}/ws/v1/cluster/info").json()
    first = calls[0][0]
    started, begun = time.monotonic(), time.process_time()
    for at, url in calls:
        if paced and (wait := at - first - (time.monotonic() - started)) > 0:
            time.sleep(wait)
        session.get(url).json()
    print(json.dumps({"cpu_s": time.process_time() - begun, "calls": len(calls)}))


if __name__ == "__main__":
    main()
