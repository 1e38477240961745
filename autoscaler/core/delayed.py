"""Scale-downs that are held back, so that a vertex shrinks once, and not too far (docs/ALGORITHM.md, 6)."""

from __future__ import annotations

from autoscaler.model import DelayedRequest, DelayedScaleDown, Policy


def remembered(
    delayed: DelayedScaleDown | None, request: DelayedRequest, current: int, policy: Policy
) -> DelayedScaleDown:
    """Return the held-back requests with a new one, which takes the place of all that asked for no more.

    Beyond the reference, a request above the current parallelism is forgotten: it is from before somebody
    shrank the vertex by other means, and waiting starts anew.
    """
    first, earlier = (request.at, ()) if delayed is None else (delayed.first, delayed.requests)
    if policy.extras and any(each.parallelism > current for each in earlier):
        earlier = tuple([each for each in earlier if each.parallelism <= current])
        first = earlier[0].at if earlier else request.at
    kept = [each for each in earlier if each.parallelism > request.parallelism]
    return DelayedScaleDown(first=first, requests=(*kept, request))


def due(
    delayed: DelayedScaleDown, request: DelayedRequest, policy: Policy
) -> tuple[DelayedScaleDown, DelayedRequest | None]:
    """Return the requests that still count and the one to follow: the highest of the interval, if it is over.

    Worked, with an interval of 1 h: asked for 4 at 9:00, 6 at 9:30, 3 at 10:00. The 6 replaced the 4,
    waiting began at 9:00; at 10:00 it is over, and the vertex goes to 6.
    """
    oldest = request.at - policy.scale_down_interval
    if oldest < delayed.first:
        return delayed, None
    counting = tuple([each for each in delayed.requests if each.at >= oldest])
    return DelayedScaleDown(first=delayed.first, requests=counting), counting[0]
