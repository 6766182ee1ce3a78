"""What a schema may not do to the one in force, whatever is stored: a caveat keeps its parameters and their types.

A tuple's context was judged by the parameters that its caveat had. Adding one is allowed, and so is another expression.
A caveat may go as a whole once no tuple counts under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import SchemaTypeError, quoted
from relgraph.schema.source import Source

if TYPE_CHECKING:
    from relgraph.schema.model import Schema

__all__ = ["check_change"]


def check_change(old: Schema, new: Schema) -> None:
    """Return if `new` may follow `old`. Raises SchemaTypeError at the caveat that lost or changed a parameter."""
    for name, declared in new.declared.items():
        if name not in old.caveats:
            continue
        before, after = old.caveats[name].parameters, declared.caveat.parameters
        for parameter, type_ in before.items():
            if parameter not in after:
                problem = f"the caveat {quoted(name)} has the parameter {quoted(parameter)} in force, which cannot go"
            elif after[parameter] != type_:
                was, is_ = quoted(str(type_)), quoted(str(after[parameter]))
                problem = (
                    f"the parameter {quoted(parameter)} of {quoted(name)} is {was} in force and cannot become {is_}"
                )
            else:
                continue
            advice = "keep it, and declare a caveat of another name for what is new"
            error = Source(new.text).problem(SchemaTypeError, f"{problem}: {advice}", declared.at)
            error.details.update({"caveat": name, "parameter": parameter})
            raise error
