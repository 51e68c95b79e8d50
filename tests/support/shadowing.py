"""Tasks whose parameters are called as the options of `tac run` are."""

import luigi

from tac.run_command import run

OPTIONS = {param.opts[0].removeprefix("--") for param in run.params if param.name != "words"}


class Own(luigi.Task):
    """Has a parameter for every option, and some of every kind."""

    text = luigi.Parameter(default="x")
    number = luigi.IntParameter(default=1)
    flag = luigi.BoolParameter()
    told = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    for _name in OPTIONS:
        locals()[_name.replace("-", "_")] = luigi.Parameter(default="a")


class Plain(luigi.Task):
    """Has none of them."""

    text = luigi.Parameter(default="x")
    number = luigi.IntParameter(default=1)
    flag = luigi.BoolParameter()
    told = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING)


class Other_One(luigi.Task):  # noqa: N801 # as people write them
    """Another family, with an underscore."""

    text = luigi.Parameter(default="x")
