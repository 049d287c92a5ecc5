"""What went wrong with a service that runs on this machine, and how to mend it."""


class EmbeddedError(Exception):
    """A plain sentence for the person at the terminal, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n{remedy}")
        self.what = what
        self.remedy = remedy
