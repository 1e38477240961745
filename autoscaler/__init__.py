"""Autoscaler for Apache Flink jobs on YARN and Amazon EMR."""
