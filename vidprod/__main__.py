"""`python -m vidprod` is `vidprod`."""

from vidprod.cli import main

if __name__ == "__main__":
    main()
