"""The least a Python program can do to make the same calls: one session, ``get``, ``json``; nothing is kept.

Reads ``{"base": ..., "paths": [...]}`` from standard input and prints the processor seconds the loop used.
"""

from __future__ import annotations

import json
import sys
import time

import requests


def main() -> None:
    job = json.load(sys.stdin)
    base, urls = job["base"], [job["base"] + path for path in job["paths"]]
    session = requests.Session()
    session.get(f"{base}/ws/v1/cluster/info").json()
    begun = time.process_time()
    for url in urls:
        session.get(url).json()
    print(json.dumps({"cpu_s": time.process_time() - begun, "calls": len(urls)}))


if __name__ == "__main__":
    main()
