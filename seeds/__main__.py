"""`python -m seeds`: the same as `healthrecords seed`."""

from app.cli import app

if __name__ == "__main__":
    app(["seed"])
