"""The data of the charts of how params and results relate: read at one moment, then folded."""

from collections.abc import Sequence

from api.dashboard.charts.contour import ContourChart, fold_contour
from api.dashboard.charts.edf import EdfChart, fold_edf
from api.dashboard.charts.pairs import ParamPair, pair_of
from api.dashboard.charts.parallel import ParallelChart, fold_parallel, with_spans
from api.dashboard.charts.ranks import RankChart, fold_ranks
from api.dashboard.charts.sequential import AmongTrials
from api.dashboard.charts.slices import SliceChart, fold_slices
from api.dashboard.narrowing import spans
from api.dashboard.trial_table import TableQuery
from tuner.service.charts.points import study_points
from tuner.service.storage import Database
from tuner.service.trial_points import PointSelection, StudyPoints

RelationChart = ParallelChart | SliceChart | ContourChart | RankChart | EdfChart


def relation_chart(db: Database, study: int | str, query: TableQuery) -> RelationChart | None:
    """The chart that the page's address asks for. Raises NotFound, InvalidInput."""
    return folded(study_points(db, study, selection(query)), query)


def selection(query: TableQuery) -> PointSelection:
    """The trials that it shows."""
    others = query.charts.others if query.charts.relation == "edf" else ()
    return PointSelection(query.filter, query.by or None, query.state, others)


def folded(points: Sequence[StudyPoints], query: TableQuery) -> RelationChart | None:
    """It from what was read; None where it needs two params and there are fewer."""
    own, asked = points[0], query.charts
    match asked.relation:
        case "parallel":
            found = fold_parallel(own, asked=asked.paths, among=_among(query))
            seen = {one.axis.path: spans(query.filter, own.fields, one.axis) for one in found.axes}
            return with_spans(found, seen)
        case "slices":
            return fold_slices(own, asked=asked.paths, among=_among(query))
        case "edf":
            return fold_edf(points)
    pair = _pair(own, query)
    if pair is None:
        return None
    return fold_contour(own, pair) if asked.relation == "contour" else fold_ranks(own, pair)


def _pair(points: StudyPoints, query: TableQuery) -> ParamPair | None:
    return pair_of(points, query.charts.x, query.charts.y, _among(query))


def _among(query: TableQuery) -> AmongTrials | None:
    """Whoever asks for trials of one state gets them, whatever they were trained to."""
    return "trained" if query.state else query.charts.among
