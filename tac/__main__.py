"""`python -m tac`."""

from tac.cli import main

if __name__ == "__main__":
    main(prog_name="tac")
