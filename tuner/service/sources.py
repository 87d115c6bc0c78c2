"""What draws a study's trials now: samplers that share the draws by what theirs have earned."""

from sqlalchemy.orm import Session

from tuner.search.suggest import Suggester
from tuner.service import documents, transfers
from tuner.service.searches import observe
from tuner.spec.sources import SourceView
from tuner.spec.versions import DataVersions
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study


def sources(db: Database, study: int | str) -> tuple[SourceView, ...]:
    """Each source with its share of the draws to come; none where one sampler draws by itself.

    Raises NotFound, Unreadable.
    """
    with db.reading() as session:
        return of_study(session, studies.find(session, study))


def of_study(session: Session, study: Study) -> tuple[SourceView, ...]:
    """The same within a transaction."""
    rules = documents.rules_of(study)
    if not rules.is_portfolio:
        return ()
    suggester = Suggester(rules, transfers.earlier(session, rules.spec))
    seen = observe(session, study, rules, DataVersions.of(study.data_versions).ranked)
    return tuple(
        SourceView(
            source=name,
            trials=earned.draws,
            results=earned.results,
            among_best=earned.among_best,
            credit=earned.credit,
            share=earned.share,
        )
        for name, earned in suggester.earnings(seen).items()
    )
