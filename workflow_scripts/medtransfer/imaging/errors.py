"""The one error that decoding raises."""


class DecodeError(Exception):
    """An image that cannot be decoded; the message is the reason, fit for a list of rejected files."""
