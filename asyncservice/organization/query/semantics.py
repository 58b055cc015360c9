"""Where the public sources disagree on what a query means, and what is chosen here: one member a choice.

The evaluator asks these and nothing else, so that each can be turned when a real environment shows otherwise.
They are listed in the reference of queries.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantics:
    """The choices. Each default is what is chosen."""

    #: Negative operators (`ne`, `not-in`, `not-like`, `not-between`, `not-begin-with`, `not-under`, `ne-userid` and
    #: their like) also meet a column without a value.
    negative_takes_null: bool = True
    #: Comparisons, patterns and orders of text tell capitals, and accents, apart.
    case_matters: bool = False
    accents_matter: bool = False
    #: `begins-with`, `ends-with` and `contains` read %, _ and [ ] in their value as `like` does.
    wildcards_in_affixes: bool = True
    #: last-x, next-x and older-than count from midnight or from the full hour; else from the present moment.
    whole_units: bool = True
    #: `not-under` also returns the record itself, which does not lie below itself.
    not_under_takes_itself: bool = False
    #: `all` wants related rows of which none meets its filter, as it is documented; else each must.
    all_means_none: bool = True
    #: `not all` is the same as `any`, as the later page of the documentation has it; else a related row must fail.
    not_all_is_any: bool = True
    #: `matchfirstrowusingcrossapply` keeps a parent without a match.
    first_row_keeps_parent: bool = True
    #: The average of whole numbers is a whole number, cut off as an integer division does.
    whole_average: bool = True
    #: The sum of nothing but nulls is 0; else it has no value.
    sum_of_nothing_is_zero: bool = True


CHOSEN: Final = Semantics()
