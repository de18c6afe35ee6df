"""A listener that shows nothing and remembers everything."""


class Silent:
    """Remembers what a user interface would have shown."""

    def __init__(self) -> None:
        self.steps, self.evaluated = [], []

    def opened(self, run, report) -> None:
        self.run, self.report = run, report

    def step(self, step) -> None:
        self.steps.append(step)

    def evaluating(self, done: int, total: int) -> None:
        self.evaluated.append((done, total))
