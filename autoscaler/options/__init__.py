"""Every option once: how Flink reads values and files, what each key means, and which value wins."""
