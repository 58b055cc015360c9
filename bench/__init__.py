"""The benchmarks: `python -m bench` (`make bench`) measures this service and its peers on one emulator, in one run.

docs/performance.md says what each number means. The modules, from the outside in:

    plan        how much is measured, in a full run and in a quick one
    run         the order of events; growth (--scale) and past (--history) are runs of their own
    load        our service under load; loaded, lone, idle: latency under some, one operation at a time, none at all
    peers/      Celery on Azure Storage Queues, Celery on Redis
    bare        the emulator alone
    flame       a flame graph of a host
    stage       what our service is measured on: hosts, a client, the ground with its emulator
    meter       time, requests and CPU between two moments; wire reads the requests from Azurite's access log
    children    processes that are started, and ended, by the benchmark
    results     what was measured; prices: what that costs in Azure; report and sheets: the tables
    compare     two runs beside each other: `python -m bench.compare OLD.json NEW.json`
    history     what the history in a record costs: `python -m bench.history`
"""
