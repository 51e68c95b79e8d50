"""Tasks whose outputs are folders, for what `tac run --force` deletes of them."""

from pathlib import Path

import luigi

from tac.target import StoreTarget


class Parts(luigi.Task):
    """Makes a folder of two parts."""

    at: str = luigi.Parameter()

    def output(self):
        return StoreTarget(f"{self.at}/parts/")

    def run(self):
        with self.output().temporary_path() as aside:
            Path(aside).mkdir()
            for name in ("1", "2"):
                Path(aside, name).write_text("made")


class EverythingThere(luigi.Task):
    """Has the whole store as its output, as a target of tac or of Luigi."""

    at: str = luigi.Parameter()
    kind: str = luigi.ChoiceParameter(choices=["ours", "luigis"])

    def requires(self):
        return Parts(at=f"{self.at}/store")

    def output(self):
        whole = f"{self.at}/store/"
        return StoreTarget(whole) if self.kind == "ours" else luigi.LocalTarget(whole)
