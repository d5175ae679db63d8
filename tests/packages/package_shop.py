"""A small shop's pipeline, and how a test runs it: private sales in, open shares out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PERSON = "person-7f3a9c-of-the-log"  # a name that occurs in the private log only
SHOP = '''
"""A shop: private sales in, open shares out."""
import sys

import pellucid as pl
from shop_cellar import tidy_one
from shop_lib.weights import weigh

sales = pl.source("sales.csv", label="private", unit="person")
goods = pl.source("goods.csv", label="open", licence="CC0-1.0", credit="the shop")


@pl.step(per_unit=True)
def tidy(sales: pl.Table) -> pl.Table:
    return tidy_one(sales)


counts = pl.release(pl.privacy.histogram(key="item", max_contributions=2), of=tidy, epsilon=2.0, delta=1e-6)


@pl.step(over={"power": [1.0, 2.0]})
def shares(counts: pl.Table, goods: pl.Table, power: float) -> pl.Table:
    import polars

    joined = counts.polars().join(goods.polars(), on="item").sort("item").collect()
    return joined.with_columns(share=polars.Series(weigh(joined["count"].to_list(), power)))


@pl.step(kind="evaluate")
def best(shares: list[pl.Table], floor: float = 0.0) -> pl.Metrics:
    return {f"top_{at}": max(floor, table.polars().collect()["share"].max()) for at, table in enumerate(shares)}


@pl.step(kind="evaluate")
def private_mean(sales: pl.Table) -> pl.Metrics:
    print("the first row is", sales.arrow().to_pylist()[0])
    return {"rows": float(sales.num_rows), "amount": 3.14159265358979}


tills = pl.source("tills.csv", label="private")


@pl.step(over="tills", by="till")
def per_till(tills: pl.Table) -> pl.Metrics:
    return {"rows": tills.num_rows}


about = pl.About(
    title="What a shop sells",
    description="Shares of the goods that people buy, from a count under differential privacy.",
    creators=("Doe, Jane <https://orcid.org/0000-0002-1825-0097>", "The Shop <https://shop.example>"),
    licence="MIT",
    data_licence="CC-BY-4.0",
    keywords=("shop", "shares"),
)
pipeline = pl.Pipeline("shop", [sales, goods, tidy, counts, shares, best, private_mean, tills, per_till], seed=7, about=about)
'''
CELLAR = """
def tidy_one(table):
    return table.polars().select("item").collect()
"""
WEIGHTS = '''
def weigh(counts, power):
    """Shares of the counts to a power."""
    total = sum(count**power for count in counts)
    return [count**power / total for count in counts]
'''


@dataclass(frozen=True)
class Shop:
    """A folder with a pipeline that has run: where it is, its state folder, the run."""

    folder: Path
    home: Path
    run: str


def write_shop(folder: Path) -> Path:
    (folder / "shop_lib").mkdir(parents=True)
    (folder / "shop.py").write_text(SHOP)
    (folder / "shop_cellar.py").write_text(CELLAR)
    (folder / "shop_lib" / "__init__.py").write_text("")
    (folder / "shop_lib" / "weights.py").write_text(WEIGHTS)
    rows = [f"{PERSON if p == 0 else f'p{p}'},{item}" for p in range(400) for item in ("tea", "bread") if (p + len(item)) % 5]
    (folder / "sales.csv").write_text("\n".join(["person,item", *rows, ""]))
    (folder / "goods.csv").write_text("item,price\ntea,2\nbread,3\n")
    (folder / "tills.csv").write_text(f"till,sum\n{PERSON},1\nfront,2\n")
    return folder / "shop.py"


def run_file(file: Path, *more: str, keys: Path) -> str:
    """Run a pipeline as a user does; the run's name."""
    env = {**os.environ, "PELLUCID_KEYS": str(keys), "PELLUCID_HOME": str(file.parent / ".pellucid")}
    command = [sys.executable, "-m", "pellucid", "run", str(file), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["run"])
