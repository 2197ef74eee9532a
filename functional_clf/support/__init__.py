"""Small things that every room uses: checks of arguments, error lines, printable text."""
