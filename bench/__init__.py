"""The benchmarks: `python -m bench` (`make bench`) measures this service and its peers on one emulator, in one run.

docs/performance.md says what each number means. The modules, from the outside in:

    plan        how much is measured, in a full run and in a quick one
    run         the order of events
    service     our service under load; lone: one operation at a time; idle: none at all
    peers/      Celery on Azure Storage Queues, Celery on Redis
    meter       time, requests and CPU between two moments; wire reads the requests from Azurite's access log
    children    processes that are started, and ended, by the benchmark
    results     what was measured; report: the tables
"""
