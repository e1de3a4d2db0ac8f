"""How evidence looks in a notebook."""

from trueweight.evidence.record import Entry, Evidence, Interval


def test_a_table_with_everything_escaped():
    entries = (
        Entry(id="quality/<b>/accuracy/test", axis="quality", metric="accuracy", value=0.912345,
              interval=Interval(0.9, 0.95, 0.95, "bootstrap"), n=1200),
        Entry(id="quality/test", axis="quality", metric="all", status="not_run", reason="the rows stay <sealed>"),
        Entry(id="data/rows/train", axis="data", metric="rows", value=600, unit="rows"),
    )  # fmt: skip
    html = Evidence(entries)._repr_html_()
    assert html.startswith("<table><thead><tr><th>id</th><th>value</th><th>interval</th><th>n</th><th>status</th>")
    scored = "<td>0.9123</td><td>0.9 … 0.95</td><td>1,200</td><td>measured</td>"
    assert f"<tr><td>quality/&lt;b&gt;/accuracy/test</td>{scored}</tr>" in html
    assert "<td>–</td><td></td><td></td><td>not run: the rows stay &lt;sealed&gt;</td>" in html
    assert "<td>600 rows</td>" in html and "<b>" not in html and "<sealed>" not in html
