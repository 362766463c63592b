"""The entry point `poise`: reads the command line and runs a command. What takes time to import is imported where Ctrl-C is caught."""

from __future__ import annotations

import os
import sys

from .interrupt import Interruption

INTERRUPTED = 130  # `output.Exit.INTERRUPTED`


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit status (see `output.Exit`)."""
    os.environ.setdefault("MUJOCO_GL", "disable")  # nothing here draws with OpenGL, and looking for it starts another process
    with Interruption() as interruption:
        try:
            from .command_line import parse
            from .output import run_command

            return run_command(parse(arguments))
        except BaseException as error:
            if not (interruption.came or isinstance(error, KeyboardInterrupt)):
                raise
            print("poise: interrupted; what was finished is kept", file=sys.stderr)
            return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
