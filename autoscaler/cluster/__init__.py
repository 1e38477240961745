"""The cluster as the daemon sees it: YARN's ResourceManager, and Flink behind the YARN proxy. The only
network code.

``http`` gets and puts JSON with hard limits, ``yarn`` finds applications, ``flink`` reads and rescales jobs,
``readings`` turns what was read of one vertex into plain numbers, ``errors`` are the ways all of it fails.
"""
