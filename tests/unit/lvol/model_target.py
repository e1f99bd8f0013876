"""A model of the storage target, as far as the driver sees it: just enough to carry plans out on.

It is no stand-in for SPDK (the integration tests use that); it lets a plan be cut off at any call.
"""

import itertools
import uuid
from collections.abc import Mapping
from typing import Any

from dpu_handler.southbound import ConnectionLost, RpcRefused

ENODEV = -19
_CLUSTER = 1 << 20


class ModelTarget:
    """``fail_at``: the call with that number breaks. ``executed`` says whether it was carried out before it broke."""

    def __init__(self, image_bytes: int = 8 * _CLUSTER) -> None:
        self.aio: dict[str, str] = {}
        self.lvols: dict[str, dict[str, Any]] = {}
        self.lvstore: str | None = "lvs0"
        self.transports: list[str] = ["TCP"]
        self.subsystems: dict[str, dict[str, Any]] = {}
        self.connected: dict[str, list[str]] = {}
        self.served: dict[str, str] = {}
        self.changes: list[str] = []
        self.fail_at: int | None = None
        self.executed = False
        self._image_bytes = image_bytes
        self._count = itertools.count()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        reading = method.startswith(
            ("bdev_get", "bdev_lvol_get", "nvmf_get", "nvmf_subsystem_get", "bdev_wait", "vhost_get")
        )
        number = None if reading else next(self._count)
        failing = number is not None and number == self.fail_at
        if failing and not self.executed:
            raise ConnectionLost(method, executed="unknown")
        result = getattr(self, f"_{method}")(**(params or {}))
        if not reading:
            self.changes.append(method)
        if failing:
            raise ConnectionLost(method, executed="unknown")
        return result

    def lose_memory(self) -> None:
        """What a restart of the target loses; the lvols are in the pool and stay."""
        self.aio, self.subsystems, self.connected = {}, {}, {}
        self.lvstore, self.transports = None, []

    def _find(self, name: str) -> dict[str, Any]:
        bare = name.removeprefix("lvs0/")
        for lvol in self.lvols.values() if self.lvstore else ():
            if bare in (lvol["name"], lvol["uuid"]):
                return lvol
        raise RpcRefused(ENODEV, "No such device", "bdev")

    def _add(self, name: str, size: int, **extra: Any) -> str:
        if name in self.lvols:
            raise RpcRefused(-17, "File exists", "bdev_lvol")
        lvol = {"name": name, "uuid": str(uuid.uuid4()), "size": size, "snapshot": False, "parent": None, "esnap": None}
        self.lvols[name] = lvol | extra
        return str(self.lvols[name]["uuid"])

    def _bdev_get_bdevs(self, name: str) -> Any:
        if name in self.aio:
            return [{"name": name, "uuid": self.aio[name], "num_blocks": 1, "block_size": 512, "driver_specific": {}}]
        lvol = self._find(name)
        detail = {"snapshot": lvol["snapshot"], "esnap_clone": lvol["esnap"] is not None}
        if clones := [each["name"] for each in self.lvols.values() if each["parent"] == lvol["name"]]:
            detail["clones"] = clones
        if lvol["parent"]:
            detail["base_snapshot"] = lvol["parent"]
        if lvol["esnap"]:
            detail["external_snapshot_name"] = lvol["esnap"]
        alias = f"lvs0/{lvol['name']}"
        shape = {"block_size": 512, "num_blocks": lvol["size"] // 512, "driver_specific": {"lvol": detail}}
        return [{"name": lvol["uuid"], "uuid": lvol["uuid"], "aliases": [alias]} | shape]

    def _bdev_lvol_get_lvstores(self) -> Any:
        room = {"cluster_size": _CLUSTER, "free_clusters": 100, "total_data_clusters": 100}
        return [{"name": self.lvstore, "uuid": "store"} | room] if self.lvstore else []

    def _bdev_wait_for_examine(self) -> bool:
        return True

    def _bdev_aio_create(self, name: str, **params: Any) -> str:
        self.aio[name] = params.get("uuid") or str(uuid.uuid4())
        if name == "metalplane-pool" and self.lvols:
            self.lvstore = "lvs0"
        return name

    def _bdev_aio_delete(self, name: str) -> bool:
        assert not any(lvol["esnap"] == self.aio[name] for lvol in self.lvols.values()), "would never answer"
        del self.aio[name]
        return True

    def _bdev_lvol_create_lvstore(self, bdev_name: str, lvs_name: str, **_: Any) -> str:
        assert bdev_name in self.aio
        assert not self.lvols, "this would destroy the pool"
        self.lvstore = lvs_name
        return "store"

    def _bdev_lvol_clone_bdev(self, bdev: str, lvs_name: str, clone_name: str) -> str:
        return self._add(clone_name, self._image_bytes, esnap=self.aio[bdev])

    def _bdev_lvol_decouple_parent(self, name: str) -> bool:
        self._find(name)["esnap"] = None
        return True

    def _bdev_lvol_snapshot(self, lvol_name: str, snapshot_name: str) -> str:
        origin = self._find(lvol_name)
        assert origin["esnap"] is None, "an image must not depend on the raw file"
        made = self._add(snapshot_name, origin["size"], snapshot=True)
        origin["parent"] = snapshot_name
        return made

    def _bdev_lvol_clone(self, snapshot_name: str, clone_name: str) -> str:
        snapshot = self._find(snapshot_name)
        return self._add(clone_name, snapshot["size"], parent=snapshot["name"])

    def _bdev_lvol_create(self, lvol_name: str, size_in_mib: int, **_: Any) -> str:
        return self._add(lvol_name, size_in_mib << 20)

    def _bdev_lvol_resize(self, name: str, size_in_mib: int) -> bool:
        lvol = self._find(name)
        assert size_in_mib << 20 >= lvol["size"], "a shrink destroys data"
        lvol["size"] = size_in_mib << 20
        return True

    def _bdev_lvol_delete(self, name: str) -> bool:
        lvol = self._find(name)
        exported = {namespace for each in self.subsystems.values() for namespace in each["namespaces"]}
        assert lvol["uuid"] not in exported | set(self.served.values()), "the server would be left with a dead disk"
        clones = [each["name"] for each in self.lvols.values() if each["parent"] == lvol["name"]]
        assert not clones, "a snapshot with one clone is merged into it, with two it stays"
        del self.lvols[lvol["name"]]
        return True

    def _vhost_get_controllers(self) -> Any:
        return [{"ctrlr": name, "backend_specific": {"block": {"bdev": bdev}}} for name, bdev in self.served.items()]

    def _nvmf_get_transports(self) -> Any:
        return [{"trtype": transport} for transport in self.transports]

    def _nvmf_create_transport(self, trtype: str) -> bool:
        self.transports.append(trtype)
        return True

    def _nvmf_get_subsystems(self) -> Any:
        return [
            {
                "nqn": nqn,
                "subtype": "NVMe",
                "allow_any_host": each["allow_any_host"],
                "hosts": [{"nqn": host} for host in each["hosts"]],
                "namespaces": [{"uuid": namespace} for namespace in each["namespaces"]],
                "listen_addresses": [{"traddr": at[0], "trsvcid": at[1]} for at in each["listeners"]],
            }
            for nqn, each in self.subsystems.items()
        ]

    def _nvmf_subsystem_get_controllers(self, nqn: str) -> Any:
        return [{"hostnqn": host} for host in self.connected.get(nqn, ())]

    def _nvmf_create_subsystem(self, nqn: str, allow_any_host: bool, **_: Any) -> bool:
        assert not allow_any_host
        if nqn in self.subsystems:
            raise RpcRefused(-32603, "Unable to create subsystem", "nvmf_create_subsystem")
        known = {"hosts": [], "namespaces": [], "listeners": [], "allow_any_host": allow_any_host}
        self.subsystems[nqn] = known
        return True

    def _nvmf_subsystem_add_ns(self, nqn: str, namespace: Mapping[str, Any]) -> int:
        assert not self.subsystems[nqn]["listeners"], "the namespace goes before the listener"
        self.subsystems[nqn]["namespaces"].append(self._find(namespace["bdev_name"])["uuid"])
        return 1

    def _nvmf_subsystem_add_host(self, nqn: str, host: str) -> bool:
        hosts = self.subsystems[nqn]["hosts"]
        hosts.append(host)
        assert len(hosts) == 1, "two DPUs could write one volume"
        return True

    def _nvmf_subsystem_remove_host(self, nqn: str, host: str) -> bool:
        self.subsystems[nqn]["hosts"].remove(host)
        self.connected.pop(nqn, None)
        return True

    def _nvmf_subsystem_allow_any_host(self, nqn: str, allow_any_host: bool) -> bool:
        self.subsystems[nqn]["allow_any_host"] = allow_any_host
        return True

    def _nvmf_subsystem_add_listener(self, nqn: str, listen_address: Mapping[str, str]) -> bool:
        self.subsystems[nqn]["listeners"].append((listen_address["traddr"], listen_address["trsvcid"]))
        return True

    def _nvmf_delete_subsystem(self, nqn: str) -> bool:
        assert not self.connected.get(nqn), "somebody is connected"
        del self.subsystems[nqn]
        return True
