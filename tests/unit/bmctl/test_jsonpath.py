"""Kubernetes' JSONPath, as kubectl prints it."""

import pytest

from bmctl.errors import UsageError
from bmctl.jsonpath import render

DATA = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "bm-01", "labels": {"a.b/c": "x"}},
            "status": {"addresses": ["10.0.0.1/24", "10.0.1.1/24"], "n": 3},
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}],
        },
        {"metadata": {"name": "bm-02"}, "status": {"n": 5}},
    ],
}


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{.kind}", "List"),
        (".kind", "List"),
        ("{.items[*].metadata.name}", "bm-01 bm-02"),
        ("{.items[0].metadata.name}{'\\n'}", "bm-01\n"),
        ("{.items[-1:].metadata.name}", "bm-02"),
        ("{.items[-1].metadata.name}", "bm-02"),
        ("{.items[0:1].metadata.name}", "bm-01"),
        ("{.items[0]['metadata'].name}", "bm-01"),
        ("{.items[0].metadata.labels.a\\.b/c}", "x"),
        ("{.items[0].metadata.labels['a.b/c']}", "x"),
        ('{.items[0].conditions[?(@.type=="Ready")].status}', "True"),
        ("{.items[?(@.status.n>3)].metadata.name}", "bm-02"),
        ("{.items[?(@.conditions)].metadata.name}", "bm-01"),
        ("{..name}", "bm-01 bm-02"),
        ("{.items[0].status.addresses}", '["10.0.0.1/24","10.0.1.1/24"]'),
        ("{.nothing.here}", ""),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.n}{"\\n"}{end}', "bm-01\t3\nbm-02\t5\n"),
        ("{range .nothing[*]}{.name}{end}rest", "rest"),
        ("{range .items[*]}{range .conditions[*]}{.type},{end};{end}", "Ready,Synced,;;"),
        ("name: {.items[1].metadata.name}!", "name: bm-02!"),
    ],
)
def test_a_template_prints_what_kubectl_prints(template: str, printed: str) -> None:
    assert render(template, DATA) == printed


@pytest.mark.parametrize(
    "template", ["{.a", "}", "{end}", "{range .items[*]}x", "{.a[x]}", "{.a[?(@.b==c)]}", "{.a b}"]
)
def test_what_is_no_template_is_wrong_usage(template: str) -> None:
    with pytest.raises(UsageError):
        render(template, {"a": [{"b": 1}]})
