"""Go's text/template as the users of `--format` know it: text and values in, text out.

    lexer        the text between and inside `{{ }}` as tokens
    nodes        what a template is made of
    parser       tokens to nodes
    execute      nodes and a value to text
    functions    the built-in functions, and those Docker adds
    printing     values as Go prints them (`%v`, `printf`)

Values are what JSON is made of, and `Record`s: things with named fields and methods, which tell when there is no such field.
Not here: methods of Go types, channels, complex numbers, and escaping for HTML pages.
"""

from __future__ import annotations

from dockwright.cli.template.errors import ExecutionError, ParseError, TemplateError
from dockwright.cli.template.execute import Record, Template

__all__ = ["ExecutionError", "ParseError", "Record", "Template", "TemplateError"]
