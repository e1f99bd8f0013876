"""What every controller of ours runs on: clients, caches, queues, leadership, traces. It knows no machine and no disk.

Border: it imports ``provider.api`` (names and kinds) and nothing else of ours, reads neither environment nor arguments,
and decides nothing about hardware. ``dpu_handler`` imports it too, so nothing here may drag in a BMC or a scheduler.

How the parts fit: kopf (``shell``) logs in and keeps the watch streams; what they bring goes into one ``cache``; the
cache tells the shell what changed, and the shell puts keys into each controller's work ``queue``. A reconcile reads the
cache, decides, and writes through ``client``, whose answers go back into the cache at once.

Neighbours: ``controller`` is the contract a controller keeps; ``lease`` says who may write; ``tracing`` records what
was done, also across a kill -9; ``errors`` holds the one error tree; ``csi`` the generated stubs of the CSI protocol.
"""
