"""Who may do what: each role is what its holder needs, and no tenant's reaches beyond a namespace."""

import pytest

from provider.api import rights, subresources
from provider.api.names import ORPHAN_REPORT
from provider.api.resources import ORPHANREPORT, POWERSTATE, SECRET

Permissions = set[tuple[str, str, str]]

MACHINE = (subresources.GROUP, subresources.MACHINE.plural)
SERVER = (subresources.GROUP, subresources.POWERED_SERVER.plural)


def may(rules: list[rights.Rule]) -> Permissions:
    return {(verb, group, resource) for verb, group, resource, _ in rights.permissions(rules)}


def on(kind: tuple[str, str], verb: str, *sub_resources: str) -> Permissions:
    group, resource = kind
    return {(verb, group, f"{resource}/{each}") for each in sub_resources}


def of_group(rules: list[rights.Rule]) -> Permissions:
    return {permission for permission in may(rules) if permission[1] == subresources.GROUP}


def test_who_views_a_namespace_reads_logs_and_traces_and_opens_no_console() -> None:
    assert of_group(rights.tenant_view()) == on(MACHINE, "get", "trace", "seriallog")
    assert {verb for verb, _, _ in may(rights.tenant_view())} == {"get", "list", "watch"}


def test_who_edits_a_namespace_has_every_verb_of_a_machine_and_what_viewing_has() -> None:
    edit = rights.tenant_edit()
    assert may(edit) > may(rights.tenant_view())
    verbs = ("start", "stop", "restart", "reset", "addvolume", "removevolume", "addnic", "removenic", "expand")
    given = of_group(edit) - of_group(rights.tenant_view())
    assert given == on(MACHINE, "create", *verbs, "console") | on(MACHINE, "get", "console")
    assert ("patch", POWERSTATE.group, POWERSTATE.plural) not in may(edit)
    assert may(rights.tenant_admin()) == may(edit)


def test_servers_are_the_operators_alone() -> None:
    servers = on(SERVER, "get", "power", "console") | on(SERVER, "create", "power", "console")
    assert of_group(rights.operator()) == servers
    for tenant in (rights.tenant_view(), rights.tenant_edit(), rights.tenant_admin()):
        assert not [permission for permission in may(tenant) if permission[2].startswith("servers")]


def test_what_nobody_claims_is_reported_by_who_sees_it_and_given_up_by_operators() -> None:
    reports = (ORPHANREPORT.group, ORPHANREPORT.plural)

    def verbs(rules: list[rights.Rule], subresource: str = "") -> set[tuple[str, str]]:
        wanted = (reports[0], reports[1] + subresource)
        return {(verb, name) for verb, group, kind, name in rights.permissions(rules) if (group, kind) == wanted}

    reads = {(verb, "") for verb in ("get", "list", "watch")}
    assert verbs(rights.operator()) == reads | {("patch", ORPHAN_REPORT)}
    assert verbs(rights.operator(), "/status") == set(), "what is an orphan is not the operator's to say"
    for author in (rights.agent(), rights.provider_at_home()):
        assert verbs(author) - reads == {("create", ORPHAN_REPORT), ("patch", ORPHAN_REPORT)}
        assert verbs(author, "/status") == {("patch", ORPHAN_REPORT)}
    for other in (rights.tenant_view(), rights.tenant_edit(), rights.tenant_admin(), rights.api_server()):
        assert verbs(other) == set()


def test_bm_api_reads_no_secret_of_a_tenant_and_writes_no_status() -> None:
    everywhere = may(rights.api_server())
    assert not [permission for permission in everywhere if permission[2] == SECRET.plural]
    assert not [permission for permission in everywhere if "/" in permission[2] or permission[0] == "delete"]
    at_home = {verb for verb, _, resource in may(rights.api_server_at_home()) if resource == SECRET.plural}
    assert at_home == {"get", "create"}


@pytest.mark.parametrize("whose", rights.table())
def test_no_right_is_for_everything(whose: str) -> None:
    assert not [permission for permission in may(rights.table()[whose]) if "*" in permission]
