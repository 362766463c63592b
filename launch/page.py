"""A page of figures that needs nothing but itself."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

CSS = """
body{margin:0;background:#f1f5f9;color:#0f172a;font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px}
h1{margin:0;font-size:26px}h2{font-size:16px;margin:0 0 8px}
.sub{color:#64748b;margin:2px 0 18px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(165px,1fr));gap:12px;margin-bottom:18px}
.card,section{background:#fff;border-radius:10px;box-shadow:0 1px 3px #0f172a1a;padding:14px 16px}
.card b{display:block;font-size:21px;font-variant-numeric:tabular-nums}.card span{color:#64748b;font-size:13px}
.bad b{color:#dc2626}.good b{color:#16a34a}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(460px,1fr));gap:16px}
section.wide{grid-column:1/-1}
img{width:100%;height:auto}table{border-collapse:collapse;width:100%;font-size:13px}
td,th{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid #e2e8f0;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}details{margin-top:16px}summary{cursor:pointer;color:#475569}
"""


def page(title: str, sub: str, body: str) -> str:
    """The whole page: title and the line below it as text, the body as HTML."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{CSS}</style><main>'
        f'<h1>{html.escape(title)}</h1><p class="sub">{html.escape(sub)}</p>{body}</main></html>'
    )


def section(title: str, body: str, wide: bool = False) -> str:
    """A part with a title, the body as HTML; wide ones take the whole row."""
    return f"<section{' class=wide' if wide else ''}><h2>{html.escape(title)}</h2>{body}</section>"


def table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text."""
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(name)}</th>' for name in head)}</tr>{cells}</table>"
