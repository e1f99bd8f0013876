"""The devices that a machine has for this run only, put beside those of its spec. Pure.

Which run it is stands in an annotation of the machine's PowerState (see ``provider.api.ephemeral``). A device of any
other run is not composed: that is how the stop drops it, and how it stays dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from provider.api.ephemeral import EphemeralDevices
from provider.api.machine import (
    MAX_DISKS,
    MAX_NETWORK_INTERFACES,
    BareMetalMachine,
    MachineDisk,
    MachineNetworkInterface,
)
from provider.api.names import (
    ANNOTATION_EPHEMERAL_DEVICES,
    ANNOTATION_RUN,
    LABEL_DISK,
    LABEL_NIC,
    LABEL_RUN,
)
from provider.api.virtualnic import VirtualNIC
from provider.api.volume import Volume
from provider.function.observed import Child, Ephemeral, Observed, disk_name, nic_name, volume_name


def with_ephemeral(seen: Observed) -> Observed:
    """What was told, with the ephemeral devices of this run among those of the machine's spec.

    What the spec names itself is the spec's. Where the annotation makes no sense, the machine keeps what it has.
    """
    text = seen.machine.metadata.annotations.get(ANNOTATION_EPHEMERAL_DEVICES)
    if text is None:
        return seen
    run = None if seen.power is None else seen.power.metadata.annotations.get(ANNOTATION_RUN)
    try:
        devices = EphemeralDevices.read(text)
        if devices.run != run:
            return seen
        return _beside(seen, _not_in_spec(seen, devices))
    except ValueError as error:
        kept = _not_in_spec(seen, _composed_before(seen, run)) if run else None
        told = seen if kept is None else _beside(seen, kept, limited=False)
        return replace(told, ephemeral=replace(told.ephemeral, fault=str(error)))


def _not_in_spec(seen: Observed, devices: EphemeralDevices) -> EphemeralDevices:
    spec = seen.machine.spec
    disks = {disk.name for disk in spec.disks}
    interfaces = {interface.name for interface in spec.network_interfaces}
    return EphemeralDevices.model_construct(
        run=devices.run,
        disks=[disk for disk in devices.disks if disk.name not in disks],
        network_interfaces=[each for each in devices.network_interfaces if each.name not in interfaces],
    )


def _beside(seen: Observed, devices: EphemeralDevices, *, limited: bool = True) -> Observed:
    spec = seen.machine.spec
    # Nobody comes back for the data of a disk that was never declared.
    unkept = [disk.model_copy(update={"keep": bool(disk.keep)}) for disk in devices.disks]
    disks, interfaces = [*spec.disks, *unkept], [*spec.network_interfaces, *devices.network_interfaces]
    if limited:
        _check_number("disks", disks, MAX_DISKS)
        _check_number("network interfaces", interfaces, MAX_NETWORK_INTERFACES)
    whole = spec.model_copy(update={"disks": disks, "network_interfaces": interfaces})
    machine: BareMetalMachine = seen.machine.model_copy(update={"spec": whole})
    return replace(seen, machine=machine, ephemeral=Ephemeral(devices.run, frozenset(_resources(devices))))


def _check_number(nouns: str, devices: Sequence[MachineDisk | MachineNetworkInterface], most: int) -> None:
    if len(devices) > most:
        raise ValueError(
            f"annotation {ANNOTATION_EPHEMERAL_DEVICES} brings the machine to {len(devices)} {nouns}, and it has at "
            f"most {most}: remove some"
        )


def _resources(devices: EphemeralDevices) -> Iterable[str]:
    for disk in devices.disks:
        yield from (volume_name(disk.name), disk_name(disk.name))
    for interface in devices.network_interfaces:
        yield nic_name(interface.name)


def _composed_before(seen: Observed, run: str) -> EphemeralDevices:
    """The devices of the run, read back from what was composed for them."""
    mine = [child for child in seen.children.values() if child.metadata.labels.get(LABEL_RUN) == run]
    return EphemeralDevices.model_construct(
        run=run,
        disks=[_disk(child) for child in mine if isinstance(child, Volume) and LABEL_DISK in child.metadata.labels],
        network_interfaces=[
            _interface(child) for child in mine if isinstance(child, VirtualNIC) and LABEL_NIC in child.metadata.labels
        ],
    )


def _disk(volume: Volume) -> MachineDisk:
    made = volume.spec.for_provider
    return MachineDisk(
        name=_label(volume, LABEL_DISK),
        image=made.image,
        size=made.size,
        storage_class=made.storage_class_name,
        keep="Delete" not in volume.spec.management_policies and "*" not in volume.spec.management_policies,
    )


def _interface(nic: VirtualNIC) -> MachineNetworkInterface:
    made = nic.spec.for_provider
    return MachineNetworkInterface(
        name=_label(nic, LABEL_NIC), network=made.network, address=made.address, mac=made.mac_address
    )


def _label(child: Child, key: str) -> str:
    return child.metadata.labels[key]
