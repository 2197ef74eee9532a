"""The pictures of the page as inline SVG: plain text out of plain values, in light and in dark."""

from functional_clf.reports.charts.intervals import intervals_chart
from functional_clf.reports.charts.kinds import chart_of
from functional_clf.reports.charts.looks import style
from functional_clf.reports.charts.lucky import lucky_chart, script
from functional_clf.reports.charts.seeds import seeds_chart

__all__ = ["chart_of", "intervals_chart", "lucky_chart", "script", "seeds_chart", "style"]
