"""What is accepted, and reported as without effect here."""

from __future__ import annotations

from autoscaler.options.keys.key import BOOLEAN, DOUBLE, JAVA_CLASS, Key

_REDEPLOY = "changing the memory of TaskManagers needs a new deployment, which cannot be done in place on YARN"
_JVM = "it names Java classes, which cannot be loaded outside the JVM"

NOT_APPLICABLE = (
    Key(
        name="memory.tuning.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        not_applicable=_REDEPLOY,
        help="Fits the memory of TaskManagers to what they use.",
    ),
    Key(
        name="memory.tuning.overhead",
        type=DOUBLE,
        emr="0.2",
        apache="0.2",
        not_applicable=_REDEPLOY,
        help="The reserve memory tuning leaves, as a share.",
    ),
    Key(
        name="memory.tuning.maximize-managed-memory",
        type=BOOLEAN,
        emr="false",
        apache="false",
        not_applicable=_REDEPLOY,
        help="Gives the memory that tuning saves to managed memory.",
    ),
    Key(
        name="memory.tuning.scale-down-compensation.enabled",
        type=BOOLEAN,
        emr="true",
        apache="true",
        not_applicable=_REDEPLOY,
        help="Keeps the job's total memory when it is scaled down.",
    ),
    Key(
        name="metrics.custom-evaluators",
        type=JAVA_CLASS,
        unset="none",
        not_applicable=_JVM,
        help="Names evaluators of metrics written in Java.",
    ),
    Key(
        name="metrics.custom-evaluator.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of one such evaluator.",
    ),
    Key(
        name="scaling.custom-executors",
        type=JAVA_CLASS,
        unset="none",
        not_applicable=_JVM,
        help="Names executors of decisions written in Java.",
    ),
    Key(
        name="scaling.custom-executor.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of one such executor.",
    ),
    Key(
        name="scaling.parallelism-alignment.mode.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of an alignment mode of one's own.",
    ),
)
