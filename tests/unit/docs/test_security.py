"""docs/security.md promises what the roles grant, and leaves out nothing that they grant."""

import re

import pytest

from provider.api import rights
from sandbox.paths import SOURCE

Permission = tuple[str, str]
"""Verb and resource, with its sub-resource."""

ROLES = {
    "metalplane:view": rights.tenant_view,
    "metalplane:edit": rights.tenant_edit,
    "metalplane:admin": rights.tenant_admin,
    "metalplane:operator": rights.operator,
}


def promised() -> dict[str, set[Permission]]:
    """What the table gives each role."""
    lines = (SOURCE / "docs" / "security.md").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| verb | right |"))
    heads = [cell.strip() for cell in lines[begin].split("|")[3:-1]]
    table: dict[str, set[Permission]] = {head: set() for head in heads}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            return table
        right, *cells = (cell.strip() for cell in line.split("|")[2:-1])
        words = re.split(r",? ", right)
        verbs = [word for word in words if word in ("get", "list", "watch", "create", "update", "patch")]
        verbs += [word for word in words if word.startswith("delete")]
        resources = [word for word in words if word not in verbs]
        for head, cell in zip(heads, cells, strict=True):
            assert cell in ("yes", ""), line
            if cell:
                table[head] |= {(verb, resource) for verb in verbs for resource in resources}
    return table


@pytest.mark.parametrize("role", ROLES)
def test_the_table_says_what_each_role_grants(role: str) -> None:
    granted = {(verb, resource) for verb, _, resource, _ in rights.permissions(ROLES[role]())}
    assert promised()[role] == granted


def test_the_table_is_about_these_roles() -> None:
    assert promised().keys() == ROLES.keys()
