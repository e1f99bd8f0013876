"""Our CSI driver, ``lvol.csi.metalplane.io``: volumes that are SPDK logical volumes, exported over NVMe-oF.

A process of its own on the storage node (``python -m dpu_handler.lvol``). It answers CSI's identity and controller
services and speaks JSON-RPC to the storage node's SPDK target through ``southbound``; it knows nothing of Kubernetes.

Border: it alone makes the pool (AIO bdev, lvstore), the NVMe-oF transport and the exports, and makes them again when
the target comes back empty. What must outlive the target's memory is in the pool (volumes, images) or in small files
beside it (``records``). Nobody else writes to either.
Neighbours, each a noun: ``pool``, ``images``, ``volumes`` and ``exports`` observe, have ``planning`` (pure) decide and
``execution`` carry out; ``nvmf`` and ``local`` are the ways in which a volume reaches its DPU; ``target`` reads SPDK's
answers into values; ``service`` is the gRPC face over ``driver``.
"""

DRIVER_NAME = "lvol.csi.metalplane.io"
