"""`labkit` and `python -m labkit`: the command line. Ctrl-C ends it with a word, also while it is loading."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Load and run the command line."""
    try:
        from labkit.cli import main as command_line  # noqa: PLC0415 - loading takes a second, and may be stopped

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
