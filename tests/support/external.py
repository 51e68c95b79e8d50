"""External tasks, in every way that Luigi has; outputs go to `out/`."""

import luigi
from luigi.task import externalize


class Filed(luigi.Task):
    """Writes a file that is called as the task is."""

    def output(self):
        return luigi.LocalTarget(f"out/{self.task_family}")

    def run(self):
        with self.output().open("w") as file:
            file.write("made")


class Leaf(Filed):
    """A task that no task of the run requires."""


class Mid(Filed):
    """Needs it, and is made as any task is."""

    def requires(self):
        return Leaf()


class External(luigi.ExternalTask):
    """External data with requirements of its own."""

    def requires(self):
        return Leaf()

    def output(self):
        return luigi.LocalTarget("out/External")


class NotImplementedClass(Mid):
    """The same, as Luigi's early days wrote it."""

    run = NotImplemented


class NoneClass(Mid):
    """The same, by hand."""

    run = None  # type: ignore[assignment]  # as Luigi's users write it


class NeedsExternal(Filed):
    def requires(self):
        return External()


class NeedsNotImplemented(Filed):
    def requires(self):
        return NotImplementedClass()


class NeedsNone(Filed):
    def requires(self):
        return NoneClass()


class NeedsExternalized(Filed):
    """An instance that was made external."""

    def requires(self):
        return externalize(Mid())


class NeedsExternalizedClass(Filed):
    """A class that was."""

    def requires(self):
        return externalize(Mid)()


class NeedsAssigned(Filed):
    """An instance whose run is set to None."""

    def requires(self):
        mid = Mid()
        mid.run = NotImplemented  # type: ignore[method-assign]  # the same
        return mid


class NeedsBoth(luigi.WrapperTask):
    """One that is made, and one that is not."""

    def requires(self):
        return [Mid(), NeedsExternal()]


class NeedsTwins(luigi.WrapperTask):
    """One task twice: once as it is, once as external data."""

    def requires(self):
        return [Mid(), NeedsExternalized()]


class Deep(Filed):
    """Needs one that needs external data."""

    def requires(self):
        return [NeedsExternal(), Leaf()]
