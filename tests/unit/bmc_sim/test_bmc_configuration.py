"""What ipmi_sim is told, and which names and passwords it cannot be told."""

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.bmc import BmcError
from sandbox.bmc.config import Settings, lan_configuration

SETTINGS = Settings("127.0.0.1", 9623, "admin", "it's secret", Path("/run/a b/control.sock"), 4711)


def test_the_network_side_names_address_user_and_wires() -> None:
    lines = [line.strip() for line in lan_configuration(SETTINGS, Path("/x/control.sh")).splitlines()]
    assert "addr 127.0.0.1 9623" in lines
    assert 'user 2 true "admin" "it\'s secret" admin 10 md5' in lines
    assert 'sol "tcp:127.0.0.1:4711" 115200' in lines
    assert "chassis_control \"/bin/sh /x/control.sh '/run/a b/control.sock'\"" in lines


def test_no_line_allows_a_session_without_a_password() -> None:
    text = lan_configuration(SETTINGS, Path("/x/control.sh"))
    assert "none" not in text
    assert "user 1" not in text


@pytest.mark.parametrize("password", ["", "x" * 21, 'quo"te', "back\\slash", "line\nbreak"])
def test_a_password_that_ipmi_cannot_carry_is_refused_without_showing_it(password: str) -> None:
    with pytest.raises(BmcError) as caught:
        lan_configuration(replace(SETTINGS, password=password), Path("/x"))
    assert "password" in str(caught.value)
    assert not password or password not in str(caught.value)
