"""The embedded composition engine: runs a Composition's function pipeline for each machine, by Crossplane's rules.

What it does and in which order is Crossplane's (core 2.3, internal/controller/apiextensions/composite), so that the
same XRD, Composition and function give the same children under either engine. It knows nothing of servers and disks.

Border: it writes the machine's ``spec.crossplane``, finalizer and status, and the children; the content of both is the
function's, except the conditions Ready and Synced, which are the engine's own.
Neighbours: ``pipeline``, ``children`` and ``status`` are pure; ``composing`` is one run of the pipeline, for which
``functions`` calls functions over gRPC and ``requirements`` finds what they ask for; ``controller`` puts it together.
``render`` writes the golden renders: a tool, and the only one here that imports our own function.
"""
