"""Autoscaler for Apache Flink jobs on YARN and Amazon EMR."""

from importlib.metadata import version

__version__ = version("flink-yarn-autoscaler")
