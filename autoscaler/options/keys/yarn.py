"""What this autoscaler has beyond the reference: whose job it is, the life of a rescale, what the cluster gives."""

from __future__ import annotations

from autoscaler.options.keys.key import ALLOWANCE, BOOLEAN, DOUBLE, DURATION, INTEGER, TEXT, Key

OURS = (
    Key(
        name="yarn.enabled",
        type=BOOLEAN,
        unset="`enabled` decides",
        help="`true` hands the job to this daemon, also where EMR's own scaler could take it; switch "
        "`enabled` off then: a job that both would scale is held, as two controllers must not fight. `false` keeps "
        "this daemon's hands off the job.",
    ),
    Key(
        name="yarn.id",
        type=TEXT,
        unset="the YARN application name",
        fills="yarn_id",
        help="The identity of a job's application across resubmissions under changing names. History belongs to it.",
    ),
    Key(
        name="yarn.time-zone",
        type=TEXT,
        emr="UTC",
        apache="UTC",
        fills="time_zone",
        help="The IANA time zone, such as `Europe/Berlin`, in which `excluded.periods` are read.",
    ),
    Key(
        name="yarn.allow-without-checkpoint",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="allow_without_checkpoint",
        help="Allows a rescale although checkpointing is off or no checkpoint exists yet. The job then "
        "starts from scratch: state is lost.",
    ),
    Key(
        name="yarn.restore-requirements",
        type=BOOLEAN,
        emr="true",
        apache="false",
        fills="restore_requirements",
        help="Asks again for what was asked last when a new ApplicationMaster of the same application has lost it, "
        "as one without high availability does. It is done once the job runs stably.",
    ),
    Key(
        name="yarn.external-change.hold",
        type=DURATION,
        emr="30 min",
        apache="0 s",
        fills="external_change_hold",
        help="How long a job is left alone after somebody else changed its resource requirements. One whose "
        "parallelism changed three times within an hour without a request is left alone for an hour, and if it had "
        "recovered and fell again, pinned to what it runs at, which restarts nothing. If it falls behind on that it "
        "may grow. 0 takes no notice of either.",
    ),
)

RESCALES = (
    Key(
        name="yarn.rescale-timeout",
        type=DURATION,
        emr="15 min",
        apache="15 min",
        fills="rescale_timeout",
        low=1,
        help="How long slots may be missing for a rescale before it is closed as reached in part or not at all. "
        "The time Flink waits for a checkpoint or its cool-down, and that of the restart, does not count.",
    ),
    Key(
        name="yarn.back-off",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="back_off",
        help="After a rescale the cluster did not grant in full, the upper bounds are lowered to what was reached, "
        "so that YARN looks for no more containers, and this one job asks for no more slots during this time. It "
        "doubles each time in a row, up to 6 h. 0 switches both off. What it means for the other jobs of the queue is "
        "`yarn.capacity.allowance`.",
    ),
    Key(
        name="yarn.rescale-gap.up",
        type=DURATION,
        emr="2 min",
        apache="0 s",
        fills="rescale_gap_up",
        help="The least time between a rescale and a later one that gives some vertex more.",
    ),
    Key(
        name="yarn.rescale-gap.down",
        type=DURATION,
        emr="30 min",
        apache="0 s",
        fills="rescale_gap_down",
        help="The least time between a rescale and a later one that only takes away.",
    ),
    Key(
        name="yarn.rescale-budget",
        type=INTEGER,
        emr="6",
        apache="0",
        fills="rescale_budget",
        low=0,
        help="The most rescales of a job within 24 hours. A job further behind than "
        "`backlog-processing.lag-threshold`, and falling back, may overdraw it, and says so. 0 sets no limit.",
    ),
    Key(
        name="yarn.checkpoint-wait.max",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="checkpoint_wait_max",
        help="How long a rescale may wait for a checkpoint to complete, so that little is processed twice; at most "
        "2 min while the lag grows. Then a scale-down is dropped and a scale-up is sent. Only up to Flink 1.20 and "
        "where no containers are needed; later versions wait by themselves. 0 waits for none.",
    ),
    Key(
        name="yarn.probation",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="probation",
        help="How long a job is watched after a rescale, which is rolled back once if one of `yarn.rollback.*` is "
        "met. Of throughput and lag nothing counts that was measured before or while measurements were in doubt. "
        "0 switches that off.",
    ),
    Key(
        name="yarn.rollback.restarts",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="rollback_restarts",
        low=0,
        help="Rolls a rescale on probation back after so many restarts beyond its own. 0 counts none.",
    ),
    Key(
        name="yarn.rollback.failed-checkpoints",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="rollback_failed_checkpoints",
        low=0,
        help="Rolls a rescale on probation back after so many failed checkpoints. 0 counts none.",
    ),
    Key(
        name="yarn.rollback.throughput",
        type=DOUBLE,
        emr="0.8",
        apache="0.8",
        fills="rollback_throughput",
        low=0,
        high=1,
        help="Rolls a rescale on probation back if a slot processes less than this share of what it did, and the job "
        "less in all, although no less arrives. 0 switches that off.",
    ),
    Key(
        name="yarn.rollback.lag-samples",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="rollback_lag_samples",
        low=0,
        help="Rolls a rescale on probation back once the lag grew faster than before in so many samples in a row. "
        "0 switches that off.",
    ),
    Key(
        name="yarn.rollback.gc-pressure",
        type=DOUBLE,
        emr="0.5",
        apache="0.5",
        fills="rollback_gc_pressure",
        low=0,
        high=1,
        help="Rolls a rescale on probation back if a TaskManager spends more than this share of its time collecting "
        "garbage, and did not before. 1 switches that off.",
    ),
    Key(
        name="yarn.bad-target.memory",
        type=DURATION,
        emr="6 h",
        apache="0 s",
        fills="bad_target_memory",
        help="How long a target that was rolled back is not tried again; doubled each time it is.",
    ),
    Key(
        name="yarn.bad-target.memory-max",
        type=DURATION,
        emr="48 h",
        apache="48 h",
        fills="bad_target_memory_max",
        help="The longest a target is held to be bad.",
    ),
)

CAPACITY = (
    Key(
        name="yarn.capacity.enabled",
        type=BOOLEAN,
        emr="true",
        apache="false",
        fills="capacity",
        help="Holds growth to what the cluster can give: slots that are free, containers that fit on nodes which stay, "
        "the limits of queue and user, and Flink's own `slotmanager` limits. What does not fit is cut for all vertices "
        "to the same share of their load, never refused as a whole. `false` asks for whatever is wanted.",
    ),
    Key(
        name="yarn.capacity.allowance",
        type=ALLOWANCE,
        emr="auto",
        apache="auto",
        fills="capacity_allowance",
        low=0,
        help="How many nodes of the largest node's size may be counted on although they are not there. `0` is a fixed "
        "cluster. `auto` asks for as much as is wanted, as EMR managed scaling adds nodes only while containers are "
        "pending; when they did not come within `yarn.rescale-timeout` all jobs of the queue are held to what there is "
        "for 30 min, doubling up to 6 h with each time in a row. Limits below the size of the whole cluster hold in "
        "any case. How long the job that asked waits is `yarn.back-off`.",
    ),
    Key(
        name="yarn.capacity.decommission-timeout",
        type=DURATION,
        emr="1 h",
        apache="1 h",
        fills="decommission_timeout",
        low=1,
        help="How long the cluster gives a node that drains, as set by YARN's "
        "`yarn.resourcemanager.nodemanager-graceful-decommission-timeout-secs`, which it does not tell. Only for "
        "saying how much time is left.",
    ),
    Key(
        name="yarn.task-managers.fill",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="fill_task_managers",
        help="Raises what a rescale changes, in proportion, to the slots of TaskManagers it pays for anyway. One that "
        "only takes away is left as it is. Off, because Flink up to 1.20 spreads what is left after a scale-down over "
        "all TaskManagers: the fuller they were, the fewer go.",
    ),
    Key(
        name="yarn.task-managers.whole-scale-down",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="whole_scale_down",
        help="Leaves out a scale-down that would free no TaskManager, unless another job of the same application could "
        "use the slots. Off, because it counts on subtasks being packed, which Flink up to 1.20 does not do: a job "
        "that has two subtasks may hold two TaskManagers, and give one back when it has one.",
    ),
    Key(
        name="yarn.fleet.rescales-in-flight",
        type=INTEGER,
        emr="5",
        apache="0",
        fills="rescales_in_flight",
        low=0,
        help="How many jobs of the whole cluster may be under a rescale at once, this one included; `0` for any "
        "number. A roll-back counts and waits for none, a scale-down waits for other scale-downs alone; of the rest "
        "the job that is farthest behind goes first.",
    ),
    Key(
        name="yarn.fleet.task-managers-per-minute",
        type=INTEGER,
        emr="20",
        apache="0",
        fills="task_managers_per_minute",
        low=0,
        help="How many TaskManagers may be asked for in one queue within a minute; `0` for any number. A rescale that "
        "needs more by itself is sent when nothing else was in that minute.",
    ),
)
