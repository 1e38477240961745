"""The ten-minute story: the lab, the daemon as production starts it, a load that rises and falls, and a verdict."""
