"""What a user is told when the input cannot be used: what was got, what was expected, what to do."""


class InputError(ValueError):
    """Input that cannot be used. The command line prints it as one paragraph and exits with code 2.

    ``InputError(got, expected, remedy)`` reads as ``Got <got>. Expected <expected>. <remedy>.``
    """

    def __init__(self, got: str, expected: str, remedy: str) -> None:
        self.got, self.expected, self.remedy = got, expected, remedy
        super().__init__(f"Got {got}. Expected {expected}. {remedy}.")

    def __reduce__(self):
        return type(self), (self.got, self.expected, self.remedy)
