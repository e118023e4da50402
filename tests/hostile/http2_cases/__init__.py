"""The cases of the suite `frames`: each module holds those of one part of HTTP/2."""

from itertools import chain

from . import answers, connection, control, field_blocks, fields, messages

CASES = list(chain.from_iterable(part.cases() for part in (connection, control, field_blocks, messages, fields, answers)))
