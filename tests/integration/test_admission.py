"""What the API server itself refuses, and that it says what to write instead. All by server-side dry run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.api.resources import BAREMETALMACHINE
from sandbox.apiserver import ApiServer
from sandbox.errors import CommandFailed
from sandbox.paths import SOURCE
from tests.integration.manifests import GONE, MACHINE_SPEC, edited, manifest
from tests.integration.rest import Rest

Json = dict[str, Any]
Changes = dict[str, Any]

EXAMPLES = sorted((SOURCE / "compositions/examples").glob("*.yaml"))

POSITIVE = "must be more than 0, such as 20Gi"
QUANTITY = "must be a quantity: write a number with a suffix, such as 20Gi"
ONE_BOOT_DISK = "exactly one disk must have boot: true; set it on the disk that holds the operating system"
LABEL = "must be a DNS label: lower-case letters, digits and dashes, such as data-1"
ADDRESS = "must be an IPv4 address with its prefix length, such as 10.20.0.11/24"
MAC = "must be the MAC address of one station, such as 02:00:00:00:00:0a"
NAME = "must be the name of an object: lower-case letters, digits, dashes and dots, such as debian-12"
KEY = "must be one line of a .pub file: the key's type, its base64, and a comment if you like, such as ssh-ed25519"
EITHER = "give either instanceType or serverSelector, not both and not neither"
TWO_DISKS = "two disks have the same name: give each disk a name of its own"
TWO_INTERFACES = "two interfaces have the same name: give each interface a name of its own"

DISK, OTHER_DISK = "spec.disks.0", "spec.disks.1"
NIC, OTHER_NIC = "spec.networkInterfaces.0", "spec.networkInterfaces.1"
KEYS = "spec.cloudInit.sshAuthorizedKeys"
RACK = {"matchLabels": {"rack": "r1"}}

REFUSED: dict[str, tuple[Changes, str]] = {
    "size 0": ({f"{DISK}.size": "0"}, POSITIVE),
    "size 0 with a suffix": ({f"{DISK}.size": "0Gi"}, POSITIVE),
    "size 0 with decimals": ({f"{OTHER_DISK}.size": "0.0"}, POSITIVE),
    "size below 0": ({f"{DISK}.size": "-1Gi"}, QUANTITY),
    "size with another unit": ({f"{DISK}.size": "20GB"}, QUANTITY),
    "size in words": ({f"{DISK}.size": "large"}, QUANTITY),
    "size with a blank": ({f"{DISK}.size": "20 Gi"}, QUANTITY),
    "size with a line after it": ({f"{DISK}.size": "20Gi\n"}, QUANTITY),
    "size with an exponent": ({f"{DISK}.size": "1e9"}, QUANTITY),
    "size beyond what can be counted": ({f"{DISK}.size": "9300P"}, "must be less than 8Ei, such as 20Gi"),
    "empty size": ({f"{DISK}.size": ""}, QUANTITY),
    "no size": ({f"{DISK}.size": GONE}, "spec.disks[0].size: Required value"),
    "no disks": ({"spec.disks": GONE}, "spec.disks: Required value"),
    "empty list of disks": ({"spec.disks": []}, ONE_BOOT_DISK),
    "no boot disk": ({f"{DISK}.boot": GONE}, ONE_BOOT_DISK),
    "boot disk that is not": ({f"{DISK}.boot": False}, ONE_BOOT_DISK),
    "two boot disks": ({f"{OTHER_DISK}.boot": True, f"{OTHER_DISK}.image": "tiny"}, ONE_BOOT_DISK),
    "boot disk without an image": (
        {f"{DISK}.image": GONE},
        "a boot disk needs an image: name a MachineImage in image",
    ),
    "two disks of one name": ({f"{OTHER_DISK}.name": "root"}, TWO_DISKS),
    "disk name in capitals": ({f"{OTHER_DISK}.name": "Data_1"}, LABEL),
    "disk name with a dash at its end": ({f"{OTHER_DISK}.name": "data-"}, LABEL),
    "two interfaces of one name": ({f"{OTHER_NIC}.name": "eth0"}, TWO_INTERFACES),
    "interface name with a dot": ({f"{OTHER_NIC}.name": "eth.1"}, LABEL),
    "interface without a network": ({f"{NIC}.network": GONE}, "spec.networkInterfaces[0].network: Required value"),
    "MAC that is none": ({f"{NIC}.mac": "02:00:00:00:00:zz"}, MAC),
    "MAC with five octets": ({f"{NIC}.mac": "02:00:00:00:00"}, MAC),
    "MAC with seven octets": ({f"{NIC}.mac": "02:00:00:00:00:00:0a"}, MAC),
    "MAC with dashes": ({f"{NIC}.mac": "02-00-00-00-00-0a"}, MAC),
    "MAC of a group": ({f"{NIC}.mac": "01:00:5e:00:00:01"}, MAC),
    "MAC of everybody": ({f"{NIC}.mac": "ff:ff:ff:ff:ff:ff"}, MAC),
    "MAC of nobody": ({f"{NIC}.mac": "00:00:00:00:00:00"}, MAC),
    "address without a prefix": ({f"{NIC}.address": "10.20.0.11"}, ADDRESS),
    "address with an octet too large": ({f"{NIC}.address": "10.20.0.256/24"}, ADDRESS),
    "address with three octets": ({f"{NIC}.address": "10.20.0/24"}, ADDRESS),
    "address with a leading zero": ({f"{NIC}.address": "10.20.0.011/24"}, ADDRESS),
    "address with a prefix too long": ({f"{NIC}.address": "10.20.0.11/33"}, ADDRESS),
    "address with a mask": ({f"{NIC}.address": "10.20.0.11/255.255.255.0"}, ADDRESS),
    "address of IPv6": ({f"{NIC}.address": "2001:db8:1:2:3:4:5:6/64"}, ADDRESS),
    "address of a group": ({f"{NIC}.address": "224.0.0.1/24"}, ADDRESS),
    "address of the machine itself": ({f"{NIC}.address": "127.0.0.1/8"}, ADDRESS),
    "address of nobody": ({f"{NIC}.address": "0.0.0.0/0"}, ADDRESS),
    "image that no image can be called": ({f"{DISK}.image": "../tiny"}, NAME),
    "network in capitals": ({f"{NIC}.network": "Blue"}, NAME),
    "user data of the neighbour": (
        {"spec.cloudInit": {"userDataSecretRef": {"name": "../../tenant-b/secrets/user-data"}}},
        NAME,
    ),
    "SSH key that is nonsense": ({KEYS: ["let me in"]}, KEY),
    "SSH key without its type": ({KEYS: ["AAAAC3NzaC1lZDI1NTE5AAAA me@example"]}, KEY),
    "SSH key of a type that OpenSSH no longer takes": ({KEYS: ["ssh-dss AAAA me@example"]}, KEY),
    "SSH key that was cut off": ({KEYS: ["ssh-ed25519 AAAAC"]}, KEY),
    "two SSH keys in one": ({KEYS: ["ssh-ed25519 AAAA a\nssh-ed25519 AAAA b"]}, KEY),
    "SSH key with options": ({KEYS: ['command="/bin/false" ssh-ed25519 AAAA me']}, KEY),
    "unknown runStrategy": (
        {"spec.runStrategy": "Sometimes"},
        'Unsupported value: "Sometimes": supported values: "Always", "Manual", "Halted"',
    ),
    "both instanceType and serverSelector": ({"spec.serverSelector": RACK}, EITHER),
    "neither instanceType nor serverSelector": ({"spec.instanceType": GONE}, EITHER),
    "selector of every server": (
        {"spec.instanceType": GONE, "spec.serverSelector": {"matchLabels": {}}},
        "spec.serverSelector.matchLabels in body should have at least 1 properties",
    ),
    "misspelt field": ({f"{DISK}.sise": "1Gi"}, 'unknown field "spec.disks[0].sise"'),
    "name too long for a label": ({"metadata.name": "m" * 64}, "metadata.name: Too long: may not be more than 63"),
}

IMMUTABLE: dict[str, tuple[Changes, str]] = {
    "smaller disk": (
        {f"{DISK}.size": "512Mi"},
        "a disk cannot shrink: write the present size or a larger one",
    ),
    "disk smaller by one byte": (
        {f"{OTHER_DISK}.size": str(2 * 2**30 - 1)},
        "a disk cannot shrink: write the present size or a larger one",
    ),
    "other image": ({f"{DISK}.image": "other"}, "image is immutable: add a disk with another name instead"),
    "image for a blank disk": ({f"{OTHER_DISK}.image": "tiny"}, "image is immutable: add a disk with another name"),
    "other storage class": ({f"{DISK}.storageClass": "slow"}, "storageClass is immutable: add a disk with another"),
    "boot from another disk": (
        {f"{DISK}.boot": False, f"{OTHER_DISK}.boot": True},
        "boot is immutable: the machine boots from the disk that it was made with",
    ),
    "boot disk renamed": (
        {f"{DISK}.name": "system"},
        "the boot disk cannot be removed or renamed: make a new machine instead",
    ),
    "other network": ({f"{NIC}.network": "red"}, "network is immutable: add an interface with another name instead"),
    "other address": ({f"{NIC}.address": "10.20.0.12/24"}, "address is immutable: add an interface"),
    "address taken away": ({f"{NIC}.address": GONE}, "add an interface with another name"),
    "address where there was none": ({f"{OTHER_NIC}.address": "10.20.0.12/24"}, "address is immutable"),
    "other MAC": ({f"{NIC}.mac": "02:00:00:00:00:0b"}, "mac is immutable: add an interface with another name instead"),
    "MAC taken away": ({f"{NIC}.mac": GONE}, "mac is immutable"),
    "other instance type": ({"spec.instanceType": "large"}, "instanceType is immutable: make a new machine instead"),
    "selector in place of the type": (
        {"spec.instanceType": GONE, "spec.serverSelector": RACK},
        "serverSelector is immutable: make a new machine instead",
    ),
    "other SSH keys": (
        {"spec.cloudInit.sshAuthorizedKeys": []},
        "cloudInit is immutable, for it is read at the first boot only: make a new machine instead",
    ),
    "cloud-init taken away": ({"spec.cloudInit": GONE}, "cloudInit is immutable"),
}

ADMITTED: dict[str, Changes] = {
    "image that does not exist": {f"{DISK}.image": "not-there-yet"},
    "instance type that does not exist": {"spec.instanceType": "not-there-yet"},
    "network that does not exist": {f"{NIC}.network": "not-there-yet"},
    "selector that no server fits": {"spec.instanceType": GONE, "spec.serverSelector": RACK},
    "size in bytes": {f"{DISK}.size": "1073741824"},
    "size with a fraction": {f"{DISK}.size": "1.5Gi"},
    "no interfaces": {"spec.networkInterfaces": GONE},
    "no first-boot configuration": {"spec.cloudInit": GONE},
    "SSH keys of all types": {
        KEYS: [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
            "ssh-rsa AAAAB3NzaC1yc2E= me@example",
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= a comment of some words, ü too",
            "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
            "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20=",
        ]
    },
    "MAC in capitals": {f"{NIC}.mac": "02:00:00:00:00:AF"},
    "Manual": {"spec.runStrategy": "Manual"},
    "name of 63 characters": {"metadata.name": "m" * 63},
}

CHANGEABLE: dict[str, Changes] = {
    "larger disk": {f"{DISK}.size": "3Gi"},
    "same size in another unit": {f"{DISK}.size": "1024Mi"},
    "one disk more": {"spec.disks.2": {"name": "more", "size": "1Gi"}},
    "one disk less": {OTHER_DISK: GONE},
    "disks in another order": {"spec.disks": MACHINE_SPEC["disks"][::-1]},
    "volume kept": {f"{DISK}.keep": True},
    "one interface more": {"spec.networkInterfaces.2": {"name": "eth2", "network": "red"}},
    "one interface less": {OTHER_NIC: GONE},
    "Halted": {"spec.runStrategy": "Halted"},
}


@pytest.fixture
def machine(namespace: str) -> Json:
    return manifest(BAREMETALMACHINE, "bm", namespace, MACHINE_SPEC)


@pytest.fixture(scope="module")
def stored(apiserver: ApiServer, rest: Rest) -> Iterator[Json]:
    """A machine that is there; what the API server made of it is what an update starts from."""
    apiserver.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test-admission"}}])
    yield rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, "bm", "test-admission", MACHINE_SPEC))
    for machine in rest.all_of(BAREMETALMACHINE, "test-admission"):
        rest.delete(BAREMETALMACHINE, machine)


@pytest.mark.parametrize("case", REFUSED)
def test_a_new_machine_is_refused(rest: Rest, machine: Json, case: str) -> None:
    changes, message = REFUSED[case]
    assert message in rest.dry_run_create(BAREMETALMACHINE, edited(machine, changes)).refusal


@pytest.mark.parametrize("case", IMMUTABLE)
def test_a_change_is_refused(rest: Rest, stored: Json, case: str) -> None:
    changes, message = IMMUTABLE[case]
    assert message in rest.dry_run_replace(BAREMETALMACHINE, edited(stored, changes)).refusal


def test_a_selector_cannot_be_changed(rest: Rest, stored: Json) -> None:
    spec = edited({"spec": MACHINE_SPEC}, {"spec.instanceType": GONE, "spec.serverSelector": RACK})["spec"]
    namespace = stored["metadata"]["namespace"]
    present = rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, "by-rack", namespace, spec))
    other = edited(present, {"spec.serverSelector.matchLabels.rack": "r2"})
    refusal = rest.dry_run_replace(BAREMETALMACHINE, other).refusal
    assert "serverSelector is immutable: make a new machine instead" in refusal


def test_first_boot_configuration_cannot_come_later(rest: Rest, stored: Json) -> None:
    spec = edited({"spec": MACHINE_SPEC}, {"spec.cloudInit": GONE})["spec"]
    namespace = stored["metadata"]["namespace"]
    present = rest.create(BAREMETALMACHINE, manifest(BAREMETALMACHINE, "bare", namespace, spec))
    refusal = rest.dry_run_replace(BAREMETALMACHINE, edited(present, {"spec.cloudInit": MACHINE_SPEC["cloudInit"]}))
    assert "cloudInit is immutable" in refusal.refusal


@pytest.mark.parametrize("case", ADMITTED)
def test_a_new_machine_is_admitted(rest: Rest, machine: Json, case: str) -> None:
    assert rest.dry_run_create(BAREMETALMACHINE, edited(machine, ADMITTED[case])).refusal == ""


@pytest.mark.parametrize("case", CHANGEABLE)
def test_a_change_is_admitted(rest: Rest, stored: Json, case: str) -> None:
    assert rest.dry_run_replace(BAREMETALMACHINE, edited(stored, CHANGEABLE[case])).refusal == ""


def test_the_full_machine_is_admitted_and_always_on_by_default(rest: Rest, machine: Json) -> None:
    answer = rest.dry_run_create(BAREMETALMACHINE, machine)
    assert answer.refusal == ""
    kept = {name: answer.body["spec"][name] for name in MACHINE_SPEC}
    assert kept == MACHINE_SPEC
    assert answer.body["spec"]["runStrategy"] == "Always"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_admitted(rest: Rest, namespace: str, path: Path) -> None:
    example = edited(yaml.safe_load(path.read_text()), {"metadata.namespace": namespace})
    assert rest.dry_run_create(BAREMETALMACHINE, example).refusal == ""


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


def test_kubectl_prints_what_to_write_instead(apiserver: ApiServer, machine: Json) -> None:
    document = yaml.safe_dump(edited(machine, {f"{DISK}.size": "0", f"{NIC}.mac": "nonsense"}))
    with pytest.raises(CommandFailed) as caught:
        apiserver.kubectl.run("apply", "--server-side", "--dry-run=server", "--filename=-", stdin=document)
    assert POSITIVE in str(caught.value)
    assert MAC in str(caught.value)
