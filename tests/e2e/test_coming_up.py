"""Bringing up a cloud that is up."""

from sandbox.cloud import Cloud


def test_what_runs_already_is_left_alone(cloud: Cloud) -> None:
    before = {report["name"]: report["pid"] for report in cloud.supervisor.status()}
    Cloud(cloud.layout.directory).up()
    assert {report["name"]: report["pid"] for report in cloud.supervisor.status()} == before
