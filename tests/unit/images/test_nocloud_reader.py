"""The image's NoCloud reader, run by the image's own busybox on documents as cloud tools write them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.images import cache, tiny
from sandbox.images.packages import fetch, locate, unpack

READER = Path(tiny.__file__).parent / "root/usr/lib/nocloud"
MAC = "52:54:00:aa:bb:01"


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The busybox that the image has."""
    directory = tmp_path_factory.mktemp("busybox")
    (deb,) = fetch(locate(["busybox-static"]), cache.directory() / "packages")
    unpack(deb, directory)
    return directory / "bin/busybox"


@pytest.fixture(scope="session")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An awk program that prints every scalar with its path."""
    program = tmp_path_factory.mktemp("dump") / "dump.awk"
    program.write_text("END { yaml_read(); for (i = 1; i <= path_count; i++) step(paths[i], value[paths[i]]) }")
    return program


def run_awk(busybox: Path, document: str, *programs: Path) -> subprocess.CompletedProcess[str]:
    files = [word for program in (READER / "yaml.awk", READER / "plan.awk", *programs) for word in ("-f", str(program))]
    return subprocess.run([busybox, "awk", *files], input=document, capture_output=True, text=True, check=False)


def plan(busybox: Path, name: str, document: str) -> list[list[str]]:
    done = run_awk(busybox, document, READER / f"{name}.awk")
    assert done.returncode == 0, done.stderr
    return [line.rstrip("|").split("|") for line in done.stdout.splitlines()]


def decoded(field: str) -> str:
    """What the shell's printf %b makes of a field."""
    plain = {"0174": "|", "n": "\n", "t": "\t", "\\": "\\"}
    return re.sub(r"\\(0174|n|t|\\)", lambda match: plain[match[1]], field)


NETWORK = {
    "version": 2,
    "ethernets": {
        "eth0": {
            "match": {"macaddress": MAC.upper()},
            "set-name": "eth0",
            "addresses": ["10.20.0.11/24"],
            "routes": [{"to": "default", "via": "10.20.0.1"}, {"to": "10.9.0.0/16", "via": "10.20.0.2"}],
            "mtu": 1450,
            "nameservers": {"addresses": ["9.9.9.9"]},
        }
    },
}
NETWORK_PLAN = [
    ["link", "eth0", MAC, "eth0", "1450"],
    ["address", "eth0", "10.20.0.11/24"],
    ["route", "eth0", "0.0.0.0/0", "10.20.0.1"],
    ["route", "eth0", "10.9.0.0/16", "10.20.0.2"],
    ["nameserver", "9.9.9.9"],
]


@pytest.mark.parametrize(
    "document",
    [
        yaml.safe_dump(NETWORK),
        yaml.safe_dump(NETWORK, sort_keys=False),
        yaml.safe_dump(NETWORK, default_flow_style=True),
        json.dumps(NETWORK),
        json.dumps(NETWORK, indent=2),
        yaml.safe_dump({"network": NETWORK}),
        "---\n# written by hand\n" + yaml.safe_dump(NETWORK) + "...\n",
    ],
)
def test_one_network_however_it_is_written(busybox: Path, document: str) -> None:
    assert plan(busybox, "network", document) == NETWORK_PLAN


def test_a_network_of_version_1(busybox: Path) -> None:
    subnet = {"type": "static", "address": "10.20.0.11", "netmask": "255.255.252.0", "gateway": "10.20.0.1"}
    entry = {"type": "physical", "name": "eth0", "mac_address": MAC, "subnets": [subnet]}
    assert plan(busybox, "network", yaml.safe_dump({"version": 1, "config": [entry]})) == [
        ["link", "eth0", MAC, "eth0"],
        ["address", "eth0", "10.20.0.11/22"],
        ["route", "eth0", "0.0.0.0/0", "10.20.0.1"],
    ]


def test_what_the_image_cannot_do_is_named(busybox: Path) -> None:
    document = yaml.safe_dump({"version": 2, "ethernets": {"eth0": {"dhcp4": True, "wakeonlan": True}}})
    done = run_awk(busybox, document, READER / "network.awk")
    assert "ethernets.eth0.dhcp4 is not supported" in done.stderr
    assert "ethernets.eth0.wakeonlan is not supported" in done.stderr


def test_a_command_that_yaml_reads_as_a_mapping_is_not_lost_in_silence(busybox: Path) -> None:
    done = run_awk(busybox, '#cloud-config\nruncmd:\n- echo "a: b"\n', READER / "config.awk")
    assert done.stdout == ""
    assert "runcmd.0 is not supported" in done.stderr


def test_meta_data_gives_identity_and_keys(busybox: Path) -> None:
    meta = {"instance-id": "i-1", "local-hostname": "bm-01", "public-keys": ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB"]}
    assert sorted(plan(busybox, "meta", yaml.safe_dump(meta))) == [
        ["hostname", "bm-01"],
        ["instance", "i-1"],
        ["key", "root", "ssh-ed25519 AAAA a@b"],
        ["key", "root", "ssh-rsa BBBB"],
    ]


def test_user_data_as_people_write_it(busybox: Path) -> None:
    document = """#cloud-config
hostname: bm-01            # a comment
ssh_authorized_keys:
- ssh-ed25519 AAAA
    user@host
users:
  - default
  - name: alice
    ssh_authorized_keys: ['key of alice']
write_files:
  - path: /etc/motd
    permissions: '0600'
    content: |
      Hello,
        # not a comment: yes

      bye | end
runcmd:
  - echo "a:b" > /tmp/x
  - [sh, -c, "echo it's"]
"""
    assert [[decoded(field) for field in row] for row in plan(busybox, "config", document)] == [
        ["hostname", "bm-01"],
        ["key", "root", "ssh-ed25519 AAAA user@host"],
        ["user", "alice"],
        ["key", "alice", "key of alice"],
        ["file", "/etc/motd", "0600", "", "Hello,\n  # not a comment: yes\n\nbye | end\n"],
        ["run", 'echo "a:b" > /tmp/x'],
        ["run", "'sh' '-c' 'echo it'\\''s'"],
    ]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("a: &x 1\nb: *x\n", "anchors"),
        ("a: !!binary x\n", "tags"),
        ("a: 1\n\tb: 2\n", "tab"),
        ("a: [1, 2\n", "never closed"),
        ('a: "x\n', "never closed"),
        ("a: 1\n   b: 2\n", "cannot continue"),
        ("a: 1\na: 2\n", "twice"),
    ],
)
def test_what_is_not_read_is_refused_with_its_line(busybox: Path, document: str, complaint: str) -> None:
    done = run_awk(busybox, document, READER / "meta.awk")
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "line " in done.stderr


words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30)
texts = words | st.lists(words, max_size=4).map("\n".join)
documents = st.dictionaries(
    st.text("abcdef-_", min_size=1, max_size=6),
    texts | st.lists(texts, max_size=3) | st.dictionaries(st.text("xyz", min_size=1), texts, min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


@given(documents, st.sampled_from([None, False, True]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pyyaml_writes_is_read_back(
    busybox: Path, dump: Path, document: dict[str, Any], flow: bool | None
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow)
    done = run_awk(busybox, text, dump)
    assert done.returncode == 0, (text, done.stderr)
    rows = (line.split("|") for line in done.stdout.split("\n") if line)
    assert {row[0]: decoded(row[1]) for row in rows} == flattened(document), text


def flattened(document: dict[str, Any]) -> dict[str, str]:
    """The scalars of a document by their paths, as the reader joins them."""
    flat: dict[str, str] = {}
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        if inner is None:
            flat[key] = value
        else:
            flat |= {f"{key}\x1c{name}": text for name, text in inner}
    return flat
