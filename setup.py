"""How tac is packaged: what it needs, what it brings along, and the command it installs.

The ranges below are what tac works with; the exact versions that `make` installs stand in
requirements.txt. A change here needs `make lock`; until then `make check` fails.
"""

import re
import runpy
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


def version() -> str:
    """Read the version where it is written once, without importing what is not installed yet."""
    text = (HERE / "tac/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError('tac/__init__.py: has no line like __version__ = "1.2.3"')
    return found[1]


def long_description() -> str:
    """Return the README, for the package's page."""
    readme = HERE / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


class BuildWithDigest(build_py):  # type: ignore[misc]  # it is untyped
    """Store a digest of the source beside the modules, so that an installed tac knows its build."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a checkout changes
            return
        module = runpy.run_path(str(HERE / "tac/build_id.py"))
        package = Path(self.build_lib) / "tac"
        digest = module["compute_digest"](package)
        (package / module["STORED"]).write_text(f"{digest}\n", encoding="ascii")


setup(
    name="tac",
    version=version(),
    description="Luigi pipelines whose every task is one container",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    license_files=["LICENSE"],
    author="tac contributors",
    # The fork server of 3.11.0's multiprocessing obeys every user of the machine: CVE-2022-42919.
    python_requires=">=3.11.1,<3.14",
    install_requires=[
        "boto3>=1.36,<2",
        "click>=8.4,<9",
        "docker>=7.2,<8",
        "jinja2>=3.1,<4",
        "jsonpatch>=1.33,<2",
        "luigi>=3.8,<3.9",
        "numpy>=2",
        "pandas>=3,<4",
        "pyarrow>=20",
        "pykube-ng>=23.6",
        "pyyaml>=6,<7",
        "requests>=2.32.2,<3",
        "rich>=14",
        "scikit-learn>=1.7.2,<2",
        "tzdata",
        "urllib3>=2,<3",
    ],
    packages=find_packages(include=["tac", "tac.*"]),
    # Naming the root makes an editable install a plain path; without it every start of a step pays
    # for an import hook of setuptools.
    package_dir={"": "."},
    package_data={
        "tac": [
            f"**/{name}"
            for name in (
                "py.typed",
                "*.md",
                "LICENSE*",
                "*.parquet",
                "*.j2",
                "*.html",
                "*.css",
                "*.js",
            )
        ]
    },
    include_package_data=False,
    zip_safe=False,
    cmdclass={"build_py": BuildWithDigest},
    entry_points={"console_scripts": ["tac = tac.cli:main"]},
)
