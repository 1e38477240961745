"""Every option once: how Flink reads values and files, what each key means, and which value wins.

Text comes in, values go out; nothing here reads a file, a clock or the environment.
"""

from autoscaler.options.checks import Validator, check, check_value, concerns_us
from autoscaler.options.files import ConfigFile, parse_config_yaml, parse_flink_conf
from autoscaler.options.grammar import GrammarError, format_duration, parse_duration, parse_memory
from autoscaler.options.keys import APACHE, EMR, KEYS, PROFILES, Key
from autoscaler.options.layers import Entry, Layer, Resolved, Setting, layer_of, profile_layer, resolve
from autoscaler.options.names import REDACTED, Spelling, find, named, nearest
from autoscaler.options.ownership import Ownership, Part, Runtime, ownership
from autoscaler.options.policy import cluster, policy
from autoscaler.options.problems import OptionError, Problem, Severity

__all__ = [
    "APACHE",
    "EMR",
    "KEYS",
    "PROFILES",
    "REDACTED",
    "ConfigFile",
    "Entry",
    "GrammarError",
    "Key",
    "Layer",
    "OptionError",
    "Ownership",
    "Part",
    "Problem",
    "Resolved",
    "Runtime",
    "Setting",
    "Severity",
    "Spelling",
    "Validator",
    "check",
    "check_value",
    "cluster",
    "concerns_us",
    "find",
    "format_duration",
    "layer_of",
    "named",
    "nearest",
    "ownership",
    "parse_config_yaml",
    "parse_duration",
    "parse_flink_conf",
    "parse_memory",
    "policy",
    "profile_layer",
    "resolve",
]
