"""Route templates, their constraints, and which of several wins."""

from uuid import uuid4

import pytest

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.routing import Route, Router, parse_template

GUID = str(uuid4())


def match(template: str, path: str) -> dict[str, str] | None:
    return parse_template(template).match(path)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("jobs", "jobs", {}),
        ("Jobs", "jOBS", {}),
        ("", "", {}),
        ("jobs/{id}", "jobs/5", {"id": "5"}),
        ("jobs/{id}", "jobs/a%2Fb%20c", {"id": "a/b c"}),
        ("jobs/{id?}", "jobs", {}),
        ("jobs/{id?}", "jobs/5", {"id": "5"}),
        ("jobs/{id=7}", "jobs", {"id": "7"}),
        ("jobs/{id:int?}", "jobs/5", {"id": "5"}),
        ("{*rest}", "", {}),
        ("{*rest}", "a/b", {"rest": "a/b"}),
        ("api/{*rest}", "api", {}),
        ("api/{*rest}", "api/data/v9.2/accounts(1)", {"rest": "data/v9.2/accounts(1)"}),
        ("{name}.{ext}", "report.pdf", {"name": "report", "ext": "pdf"}),
        ("v{version}/x", "v9.2/x", {"version": "9.2"}),
        ("jobs/{id:guid}", f"jobs/{GUID}", {"id": GUID}),
    ],
)
def test_templates_match(template: str, path: str, values: dict[str, str]) -> None:
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("jobs", "jobs/5"),
        ("jobs/{id}", "jobs"),
        ("jobs/{id}", "jobs/"),
        ("jobs/{id}", "jobs/5/6"),
        ("a.b", "aXb"),
        ("api/{*rest}", "apis"),
    ],
)
def test_templates_do_not_match(template: str, path: str) -> None:
    assert match(template, path) is None


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", "-5", "5.0"),
        ("int", "2147483647", "2147483648"),
        ("long", "2147483648", "x"),
        ("guid", GUID, "123"),
        ("bool", "True", "1"),
        ("alpha", "abc", "ab1"),
        ("decimal", "1.5", "x"),
        ("double", "1e3", "x"),
        ("float", "1.5", "x"),
        ("datetime", "2026-01-31", "yesterday"),
        ("length(2)", "ab", "abc"),
        ("length(2,3)", "abc", "abcd"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("min(18)", "18", "17"),
        ("max(18)", "18", "19"),
        ("range(1,3)", "2", "4"),
        ("min(1)", "1", "x"),
        ("regex(^a+$)", "aa", "ab"),
        (r"regex(^\d{{3}}$)", "123", "1234"),
        ("int:min(3)", "3", "2"),
        ("required", "a", None),
    ],
)
def test_constraints(constraint: str, good: str, bad: str | None) -> None:
    assert match(f"{{x:{constraint}}}", good) == {"x": good}
    if bad is not None:
        assert match(f"{{x:{constraint}}}", bad) is None


@pytest.mark.parametrize(
    "template",
    ["{*rest}/more", "{id", "id}", "{}", "{id:unknown}", "{id:min(x)}", "{id}/{ID}", "{id!}", "{x:regex(()}"],
)
def test_templates_that_cannot_be_read_are_refused(template: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_template(template)


def find(path: str, *templates: str, method: str = "GET") -> str | None:
    router = Router(Route(parse_template(template), frozenset(), template) for template in templates)
    found = router.find(method, path)
    return None if found is None else found[0]


ALL = ("{*rest}", "jobs/{id}", "jobs/{id:int}", "jobs/{id}.json", "jobs/new", "{kind}/new", "jobs")


@pytest.mark.parametrize(
    ("path", "winner"),
    [
        ("/jobs", "jobs"),
        ("/jobs/", "jobs"),
        ("/jobs/new", "jobs/new"),
        ("/jobs/5", "jobs/{id:int}"),
        ("/jobs/x", "jobs/{id}"),
        ("/jobs/x.json", "jobs/{id}.json"),
        ("/mails/new", "{kind}/new"),
        ("/mails/old", "{*rest}"),
        ("/", "{*rest}"),
    ],
)
@pytest.mark.parametrize("order", [ALL, ALL[::-1]])
def test_the_more_particular_template_wins_whatever_the_order(path: str, winner: str, order: tuple[str, ...]) -> None:
    assert find(path, *order) == winner


def test_routes_take_their_methods_only() -> None:
    router = Router(
        [
            Route(parse_template("x"), frozenset({"GET"}), "read"),
            Route(parse_template("x"), frozenset({"POST"}), "write"),
        ]
    )
    assert router.find("GET", "/x") == ("read", {})
    assert router.find("POST", "/x") == ("write", {})
    assert router.find("DELETE", "/x") is None
