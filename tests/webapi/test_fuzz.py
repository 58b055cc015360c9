"""The Web API under requests that its own description suggests, and under such as nobody would send.

From the catalog come names of sets, columns and navigation properties; around them Hypothesis puts wrong types, broken
filters, deep nesting, bad encodings and bodies that are none. Whatever comes: an answer, in time, and never a 500; an
error is Dataverse's error object with a code and a sentence. `FUZZ_EXAMPLES` says how many requests are tried.
"""

import asyncio
import json
import os
import string
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncservice.operations.engine import Engine, EngineOptions
from asyncservice.operations.handling import Registry
from asyncservice.organization.organization import Organization
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import WebApi
from asyncservice.webapi.exchange import Headers, Request, Response
from tests.support import VirtualClock

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "150"))
#: Seconds after which a request counts as hanging. A limit for the worst machine, not a measurement.
PATIENCE: Final = 20
CATALOG: Final = standard_catalog()
ENTITIES: Final = [
    CATALOG.entity(name) for name in ("account", "contact", "task", "asyncoperation", "systemuser", "import")
]
KNOWN: Final = "00000000-0000-4000-8000-00000000000a"

FUNCTIONS: Final = sorted(operator.sdk_name for operator in Operator)
#: What is there before anything is asked for: rows that point at each other, one of them at itself.
THERE: Final = [
    ("contacts", {"contactid": KNOWN, "firstname": "Élan", "lastname": "%_[a", "birthdate": "2026-03-29"}),
    (
        "accounts",
        {
            "accountid": KNOWN,
            "name": "ß and ss",
            "revenue": 1e9,
            "numberofemployees": 0,
            "primarycontactid@odata.bind": f"contacts({KNOWN})",
        },
    ),
    ("accounts", {"name": "", "parentaccountid@odata.bind": f"accounts({KNOWN})"}),
    ("tasks", {"subject": "x" * 200, "regardingobjectid_account_task@odata.bind": f"/accounts({KNOWN})"}),
]

guids = st.sampled_from(
    [KNOWN, KNOWN.upper(), f"{{{KNOWN}}}", f"'{KNOWN}'", KNOWN[:-1], "", "0", "null", "accountid=" + KNOWN]
)
noise = st.text(max_size=40)
nasty = st.sampled_from(
    [
        "'",
        "''",
        "%",
        "%zz",
        "%00",
        "\0",
        "../",
        "..%2f..%2f",
        "/",
        "//",
        "(",
        ")",
        "((((",
        "$",
        "$$",
        "@p1",
        "\\",
        "\u202e",
        "\ud800",
        "é",
        "a" * 5000,
        ";",
        ",",
        "*",
    ]
)
names = st.sampled_from(
    sorted(
        {
            *(name for entity in ENTITIES for name in [*entity.attributes][:25]),
            "_ownerid_value",
            "_primarycontactid_value",
            "nosuch",
            "@odata.type",
            "$it",
        }
    )
)
navigations = st.sampled_from(
    sorted(
        {name for entity in ENTITIES for name in [*CATALOG.navigations(entity.name)][:20]}
        | {"nosuch", "primarycontactid"}
    )
)
literals = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.booleans().map(lambda each: str(each).lower()),
    guids,
    noise.map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.sampled_from(
        [
            "null",
            "2026-03-01",
            "2026-03-01T09:30:00Z",
            "2026-13-45",
            "0001-01-01T00:00:00Z",
            "'",
            "''",
            "NaN",
            "duration'P1D'",
            "Microsoft.Dynamics.CRM.X'Y'",
            "[1,2]",
            "{'a':1}",
        ]
    ),
)
operators = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le", "in", "has", "add", "xx", ""])
comparisons = st.one_of(
    st.tuples(names, operators, literals).map(" ".join),
    st.tuples(st.sampled_from(["contains", "startswith", "endswith", "length", "year", "nosuch"]), names, literals).map(
        lambda each: f"{each[0]}({each[1]},{each[2]})"
    ),
    st.tuples(
        st.sampled_from(["In", "NotIn", "Between", "LastXDays", "Today", "OlderThanXHours", "EqualUserId", "Nosuch"]),
        names,
        literals,
    ).map(lambda each: f"Microsoft.Dynamics.CRM.{each[0]}(PropertyName='{each[1]}',PropertyValues=[{each[2]}])"),
    st.tuples(navigations, names, literals).map(lambda each: f"{each[0]}/any(x:x/{each[1]} eq {each[2]})"),
    st.tuples(navigations, names, literals).map(lambda each: f"{each[0]}/{each[1]} eq {each[2]}"),
    noise,
    nasty,
)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or ", " xor "]), inner).map("".join),
        inner.map(lambda each: f"not ({each})"),
        inner.map(lambda each: f"({each})"),
    ),
    max_leaves=6,
)
depths = st.integers(1, 3000)
deep = st.one_of(
    depths.map(lambda depth: "(" * depth + "name eq 'x'" + ")" * depth),
    depths.map(lambda depth: " or ".join(["name eq 'x'"] * depth)),
    depths.map(lambda depth: "not " * depth + "(name eq 'x')"),
    depths.map(lambda depth: "primarycontactid/" * depth + "fullname eq 'x'"),
)
expands = st.recursive(
    navigations,
    lambda inner: st.tuples(navigations, inner).map(lambda each: f"{each[0]}($expand={each[1]})"),
    max_leaves=5,
)
fetches = st.one_of(
    st.tuples(names, st.sampled_from(["eq", "in", "like", "last-x-days", "under", "nosuch"]), noise).map(
        lambda each: (
            f'<fetch><entity name="account"><filter><condition attribute="{each[0]}" operator="{each[1]}" '
            f'value="{"".join(letter for letter in each[2] if letter.isalnum())}"/></filter></entity></fetch>'
        )
    ),
    depths.map(
        lambda depth: '<fetch><entity name="account">' + "<filter>" * depth + "</filter>" * depth + "</entity></fetch>"
    ),
    st.sampled_from(
        [
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><fetch><entity name="&b;"/></fetch>',
            '<!DOCTYPE x SYSTEM "file:///etc/passwd"><fetch/>',
            "<fetch>",
            "",
            '<fetch top="x"><entity name="account"/></fetch>',
            '<fetch count="5001" page="-1"><entity name="account"/></fetch>',
            '<fetch paging-cookie="%"><entity name="account"/></fetch>',
            '<fetch aggregate="1"><entity name="account"><attribute name="name" aggregate="sum"/></entity></fetch>',
        ]
    ),
    noise,
)
options = st.lists(
    st.one_of(
        st.tuples(st.just("$filter"), st.one_of(filters, deep)),
        st.tuples(st.just("$select"), st.lists(st.one_of(names, nasty), max_size=4).map(",".join)),
        st.tuples(st.just("$orderby"), st.tuples(names, st.sampled_from(["asc", "desc", "up"])).map(" ".join)),
        st.tuples(st.sampled_from(["$top", "$count", "$skip"]), st.one_of(literals, noise)),
        st.tuples(st.just("$expand"), expands),
        st.tuples(st.just("$apply"), st.one_of(names.map(lambda each: f"groupby(({each}))"), noise)),
        st.tuples(st.just("$skiptoken"), st.one_of(noise, nasty)),
        st.tuples(st.just("fetchXml"), fetches),
        st.tuples(st.one_of(noise, nasty), noise),
    ),
    max_size=3,
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        noise,
        st.sampled_from(["2026-01-01", KNOWN, "/contacts(x)", f"/contacts({KNOWN})"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(noise, inner, max_size=3)),
    max_leaves=6,
)
rows = st.dictionaries(
    st.one_of(names, navigations, navigations.map(lambda each: f"{each}@odata.bind"), noise), values, max_size=6
)
bodies = st.one_of(
    rows.map(lambda each: json.dumps(each).encode("utf-8", "surrogatepass")),
    values.map(lambda each: json.dumps(each).encode("utf-8", "surrogatepass")),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"",
            b"{",
            b"\xff\xfe{}",
            b"[" * 5000,
            b'{"name":' * 5000,
            b'{"name": NaN}',
            b'{"name": 1e999999}',
            b"{}" * 10,
            b'{"name":"' + b"x" * 100_000 + b'"}',
        ]
    ),
)


def _paths() -> st.SearchStrategy[str]:
    sets = st.sampled_from(
        [entity.set_name for entity in ENTITIES] + ["nosuch", "EntityDefinitions", "RelationshipDefinitions"]
    )
    keyed = st.tuples(sets, guids).map(lambda each: f"{each[0]}({each[1]})")
    return st.one_of(
        sets,
        keyed,
        st.tuples(keyed, st.one_of(names, navigations, nasty, st.sampled_from(["$ref", "$value", "$count"]))).map(
            "/".join
        ),
        st.tuples(keyed, navigations, st.sampled_from(["$ref", "$count", "$value", f"({KNOWN})/$ref"])).map("/".join),
        st.tuples(
            sets, st.sampled_from(["$count", "Microsoft.Dynamics.CRM.CreateMultiple", "Microsoft.Dynamics.CRM.Nosuch"])
        ).map("/".join),
        st.sampled_from(
            [
                "",
                "$metadata",
                "$batch",
                "WhoAmI",
                "WhoAmI()",
                "RetrieveVersion(",
                "RetrieveTotalRecordCount(EntityNames=@p1)",
                "BulkDelete",
                "RetrieveCurrentOrganization(AccessType=@p1)",
                "EntityDefinitions(LogicalName='account')/Attributes",
            ]
        ),
        st.integers(1, 3000).map(lambda depth: "accounts(" + KNOWN + ")" + "/primarycontactid" * depth),
        noise,
        nasty,
    )


def _encoded(text: str) -> str:
    """Return text as a path or a query may carry it: what cannot be sent raw is percent-encoded."""
    allowed = set(string.printable) - set(string.whitespace) - {"#", "?"}
    return "".join(each if each in allowed else quote(each.encode("utf-8", "surrogatepass")) for each in text)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    method = draw(st.sampled_from(["GET", "GET", "GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW"]))
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in draw(options))
    headers = draw(
        st.dictionaries(
            st.sampled_from(
                ["Prefer", "If-Match", "If-None-Match", "Content-Type", "MSCRMCallerID", "Accept", "Content-Range"]
            ),
            st.one_of(
                noise,
                st.sampled_from(
                    [
                        'W/"1"',
                        "*",
                        "null",
                        "odata.maxpagesize=-1",
                        'odata.include-annotations="*"',
                        "return=representation",
                        "multipart/mixed; boundary=x",
                        "multipart/mixed",
                        KNOWN,
                    ]
                ),
            ),
            max_size=3,
        )
    )
    body = draw(bodies) if method != "GET" else b""
    return Request(method=method, path=_encoded(draw(_paths())), query=query, headers=Headers(headers), body=body)


@st.composite
def queries(draw: st.DrawFn) -> Request:
    """Draw a query that is likely to be understood: names that the set has, in the places where they belong."""
    entity = draw(st.sampled_from(ENTITIES))
    columns = st.sampled_from(
        [f"_{each.name}_value" if each.type.is_lookup else each.name for each in entity.attributes.values()]
    )
    leading = st.sampled_from(sorted(CATALOG.navigations(entity.name)))
    condition = st.one_of(
        st.tuples(columns, st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), literals).map(" ".join),
        st.tuples(st.sampled_from(["contains", "startswith", "endswith"]), columns, noise).map(
            lambda each: f"{each[0]}({each[1]},'{each[2].replace(chr(39), chr(39) * 2)}')"
        ),
        st.tuples(st.sampled_from(FUNCTIONS), columns, st.lists(literals, max_size=3)).map(
            lambda each: f"Microsoft.Dynamics.CRM.{each[0]}(PropertyName='{each[1]}'{_arguments(each[2])})"
        ),
        st.tuples(leading, st.sampled_from(["any()", "any(x:x/statecode eq 0)", "all(x:x/createdon ne null)"])).map(
            "/".join
        ),
        st.tuples(columns, st.sampled_from([" eq "]), columns).map("".join),
    )
    joined = st.lists(condition, min_size=1, max_size=3).map(" or ".join)
    asked = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "$select": st.lists(columns, min_size=1, max_size=4).map(",".join),
                "$filter": joined,
                "$orderby": st.tuples(columns, st.sampled_from(["asc", "desc"])).map(" ".join),
                "$top": st.integers(-1, 5001).map(str),
                "$count": st.sampled_from(["true", "false"]),
                "$expand": leading,
            },
        )
    )
    page = draw(st.integers(1, 3))
    return Request(
        method="GET",
        path=entity.set_name,
        query="&".join(f"{name}={_encoded(value).replace('&', '%26')}" for name, value in asked.items()),
        headers=Headers({"Prefer": f'odata.include-annotations="*",odata.maxpagesize={page}'}),
    )


def _arguments(values: Sequence[str]) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return f",PropertyValue={values[0]}"
    return f",PropertyValues=[{','.join(values)}]"


batches = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "--x",
                "--x--",
                "Content-Type: application/http",
                "Content-Type: multipart/mixed; boundary=y",
                "--y",
                "--y--",
                "",
                "Content-ID: 1",
                "POST accounts HTTP/1.1",
                "GET accounts HTTP/1.1",
                "POST $1/name HTTP/1.1",
                "DELETE $2 HTTP/1.1",
                "GET accounts?$filter=name eq 'x' HTTP/1.1",
                '{"name": "x"}',
                '{"name@odata.bind": "$1"}',
                "PATCH asyncoperations(x) HTTP/1.1",
            ]
        ),
        noise,
    ),
    max_size=25,
)


async def _answers(several: Sequence[Request]) -> list[Response]:
    clock = VirtualClock()
    storage = MemoryStorage(clock.now)
    organization = Organization(storage)
    engine = Engine(storage, Registry(), clock=clock, host="fuzz", options=EngineOptions(shards=2))
    await engine.open(prepare=organization.create)
    api = WebApi(organization, clock=clock, engine=engine)
    for path, row in THERE:
        made = await api.answer(Request(method="POST", path=path, body=json.dumps(row).encode()))
        assert made.status == 204, made.body
    async with asyncio.timeout(PATIENCE * len(several)):
        return [await api.answer(each) for each in several]


def _check(request: Request, response: Response) -> None:
    told = f"{request.method} {request.path}?{request.query} {dict(request.headers)} {request.body[:200]!r}"
    assert 200 <= response.status < 600, told
    assert response.status != 500, f"{told}: {response.body.decode()}"
    assert response.headers["OData-Version"] == "4.0", told
    if response.status >= 400 and not response.headers.get("Content-Type", "").startswith("multipart/mixed"):
        assert response.headers["Content-Type"].startswith("application/json"), told
        error = json.loads(response.body)["error"]
        assert isinstance(error["code"], str), told
        assert isinstance(error["message"], str), told
        assert error["message"], told
    elif response.headers.get("Content-Type", "").startswith("application/json"):
        json.loads(response.body)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(several=st.lists(requests(), min_size=1, max_size=8))
def test_every_request_is_answered(several: list[Request]) -> None:
    for request, response in zip(several, asyncio.run(_answers(several)), strict=True):
        _check(request, response)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(several=st.lists(queries(), min_size=1, max_size=8))
def test_every_likely_query_is_answered(several: list[Request]) -> None:
    for request, response in zip(several, asyncio.run(_answers(several)), strict=True):
        _check(request, response)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=batches, ending=st.sampled_from(["\r\n", "\n"]))
def test_every_batch_is_answered(lines: list[str], ending: str) -> None:
    request = Request(
        method="POST",
        path="$batch",
        headers=Headers({"Content-Type": "multipart/mixed; boundary=x"}),
        body=ending.join(lines).encode("utf-8", "surrogatepass"),
    )
    _check(request, asyncio.run(_answers([request]))[0])
