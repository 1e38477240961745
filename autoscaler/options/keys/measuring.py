"""What is measured and over which time, and what is learned from it."""

from __future__ import annotations

from autoscaler.options.keys.key import AGGREGATOR, BOOLEAN, DOUBLE, DURATION, INTEGER, Key

SWITCHES = (
    Key(
        name="enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        help="Switches autoscaling on for a job. On EMR the same key starts the scaler built into EMR's own "
        "Flink; such a job is then measured and advised on here, and not scaled.",
    ),
    Key(
        name="scaling.enabled",
        type=BOOLEAN,
        emr="true",
        apache="true",
        fills="scaling_enabled",
        help="With `false` the job is measured and every decision is computed and reported, but none is applied.",
    ),
    Key(
        name="decision.interval",
        type=DURATION,
        emr="60 s",
        apache="60 s",
        fills="decision_interval",
        low=1,
        help="How often the job is measured and a decision is computed. EMR knows this key per job; the "
        "Apache autoscaler has one interval for all jobs instead.",
    ),
    Key(
        name="debug.logs.interval",
        type=DURATION,
        emr="300 s",
        apache="300 s",
        fills="debug_logs_interval",
        help="How often the full evaluation of a job is written to the log while nothing changes.",
    ),
)

WINDOW = (
    Key(
        name="metrics.window",
        type=DURATION,
        emr="600 s",
        apache="15 min",
        fills="metrics_window",
        help="The time over which rates and averages are taken. No scaling happens before it is full, so it "
        "is also the shortest time from the end of stabilization to the next scaling.",
    ),
    Key(
        name="stabilization.interval",
        type=DURATION,
        emr="300 s",
        apache="5 min",
        fills="stabilization_interval",
        help="The time after a job's start or restart in which its measurements are kept out of decisions, "
        "because caches are cold and state is being restored.",
    ),
    Key(
        name="metrics.busy-time.aggregator",
        type=AGGREGATOR,
        emr="MAX",
        apache="MAX",
        fills="busy_time_aggregator",
        help="How the busy time of a vertex is taken from its subtasks: the busiest one, the mean, or the "
        "idlest. `MAX` is right under skew, `AVG` is steadier.",
    ),
)

BACKLOG = (
    Key(
        name="catch-up.duration",
        type=DURATION,
        emr="15 min",
        apache="30 min",
        fills="catch_up_duration",
        help="The time in which a backlog should be worked off after scaling; the shorter, the more "
        "parallelism it asks for. Counts in whole seconds. 0 ignores backlogs.",
    ),
    Key(
        name="restart.time",
        type=DURATION,
        emr="3 min",
        apache="5 min",
        fills="restart_time",
        help="How long a rescale is expected to stop processing; what arrives meanwhile is part of the "
        "backlog to work off. Counts in whole seconds.",
    ),
    Key(
        name="restart.time-tracking.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="restart_time_tracking",
        help="Uses the longest restart seen for this job instead of `restart.time`, once there is one.",
    ),
    Key(
        name="restart.time-tracking.limit",
        type=DURATION,
        emr="15 min",
        apache="15 min",
        fills="restart_time_tracking_limit",
        help="A restart seen to take longer counts as this long. Whole seconds.",
    ),
    Key(
        name="backlog-processing.lag-threshold",
        type=DURATION,
        emr="5 min",
        apache="5 min",
        fills="backlog_lag_threshold",
        help="A job further behind than this is working off a backlog; it is then allowed to be fully busy "
        "and is not scaled down. Whole seconds.",
    ),
    Key(
        name="observed-true-processing-rate.lag-threshold",
        type=DURATION,
        emr="30 s",
        apache="30 s",
        fills="observed_tpr_lag_threshold",
        help="A source at least this far behind reads as fast as it can, so that its rate shows its real "
        "capacity. Whole seconds.",
    ),
    Key(
        name="observed-true-processing-rate.switch-threshold",
        type=DOUBLE,
        emr="0.15",
        apache="0.15",
        fills="observed_tpr_switch_threshold",
        low=0,
        help="Once the capacity computed from busy time exceeds the observed one by this share, the "
        "observed one is believed.",
    ),
    Key(
        name="observed-true-processing-rate.min-observations",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="observed_tpr_min_observations",
        low=0,
        help="How many observations of a source's capacity are needed before they are used.",
    ),
)

LEARNING = (
    Key(
        name="scaling.effectiveness.detection.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="effectiveness_detection",
        help="Blocks a further scale-up of a vertex whose last one brought too little. Without it such a "
        "scale-up is only reported.",
    ),
    Key(
        name="scaling.effectiveness.threshold",
        type=DOUBLE,
        emr="0.1",
        apache="0.1",
        fills="effectiveness_threshold",
        low=0,
        help="The share of the expected gain a scale-up must bring to count as effective.",
    ),
    Key(
        name="observed-scalability.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="observed_scalability",
        help="Learns from past scalings how well a vertex gains from more subtasks, and asks for correspondingly more.",
    ),
    Key(
        name="observed-scalability.min-observations",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="observed_scalability_min_observations",
        low=0,
        help="How many past scalings are needed before anything is learned from them.",
    ),
    Key(
        name="observed-scalability.coefficient-min",
        type=DOUBLE,
        emr="0.5",
        apache="0.5",
        fills="observed_scalability_coefficient_min",
        low=0,
        high=1,
        help="The lowest gain per subtask that is believed, as a share of linear scaling.",
    ),
    Key(
        name="history.max.count",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="history_max_count",
        low=0,
        help="How many past scalings of a vertex count. 0 keeps none.",
    ),
    Key(
        name="history.max.age",
        type=DURATION,
        emr="24 h",
        apache="24 h",
        fills="history_max_age",
        help="How old a past scaling may be to count.",
    ),
)
