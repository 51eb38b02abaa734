"""Errors that a person can act on."""


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, what is allowed and what to do."""
