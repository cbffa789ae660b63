# SPDX-License-Identifier: MIT
"""What goes wrong at the viewer's edges; each message says what was expected, what came and what to do."""


class WireError(ValueError):
    """A message or an item in it that cannot be taken; the text goes back to the sender."""


class BudgetError(Exception):
    """No room in the memory budget for a plane that cannot be read again from a store."""


class EndpointError(OSError):
    """An address that cannot be bound."""
