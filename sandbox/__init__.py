"""The embedded default: a whole metal cloud of real parts on one Linux machine.

A control plane (etcd, kube-apiserver, kube-controller-manager), Open vSwitch and an SPDK target for each DPU, a storage
node, and servers that are QEMU machines behind a chassis and an IPMI BMC. ``make demo`` and the end-to-end tests run
the same code: ``sandbox.cloud.Cloud``.

Border: it starts the product's processes by their command lines and fills the inventory through the Kubernetes API, and
nothing of the product knows that it runs here. Neighbours: ``spdk``, ``chassis``, ``bmc`` and ``images`` are the
stand-ins, each usable alone; ``provider.api`` supplies the kinds and their CRDs.
"""
