"""The fault campaign: the daemon's own loop on simulated clusters that go wrong in every way known, and an observer
that watches the clusters and knows nothing of the daemon's reasons; ``make faults``, docs/FAULTS.md."""
