//! Evaluations over the log: a card, a model and a point of the log in, the core that everybody gets out.

use std::sync::Arc;

use ::lineage::{
    Caps, Checkpoint, Claim, Code, Crawl, Evaluation, Flaw, Item, Model, Standing, Update, evaluate,
    is_same_author, list,
};
use base::{Address, Sha256};
use ledger::{Derived as _, EventId, Log, Signed, StoreError};

use super::{Ancestry, Card, NotWhole, hex_text, tags_of};

/// A point of the log: how many events it had, and their root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) seq: u64,
    pub(crate) root: Sha256,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The card, the model or the events are at fault.
    #[error("{0}")]
    Flaw(Flaw),
    /// The graph lacks something, as long as the log is being read or for good.
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    /// The log cannot be read.
    #[error("read the event log")]
    Store(#[from] StoreError),
    /// Whoever asks may not see what the answer rests on.
    #[error("the card visits events of kind {0}, which only the operator may see")]
    Closed(u32),
    /// The daemon stops.
    #[error("the event log is closed")]
    Stopping,
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<Vec<Flaw>> for Trouble {
    fn from(flaws: Vec<Flaw>) -> Self {
        let unknown = || Flaw::new(Code::EItem, "", "the document is wrong");
        Self::Flaw(flaws.into_iter().next().unwrap_or_else(unknown))
    }
}

/// What is to be evaluated.
pub(crate) struct Asked<'a> {
    pub(crate) item: &'a Item,
    pub(crate) model: &'a Model,
    /// The newest point, unless given.
    pub(crate) at: Option<u64>,
}

/// What came out, and where.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) evaluation: Evaluation,
    pub(crate) at: Point,
}

impl Evaluated {
    /// Returns what everybody who evaluates the same card at the same point gets.
    pub(crate) fn update(&self, item: &Item, item_event: &str) -> Update {
        Update::of(&self.evaluation, item, item_event, &hex_text(&self.at.root))
    }
}

impl Ancestry {
    /// Evaluates a card, within what a daemon allows.
    pub(crate) fn evaluate(&self, asked: &Asked<'_>) -> Result<Evaluated, Trouble> {
        let at = self.point(asked.at)?;
        let model = Ok(asked.model.clone());
        let evaluation =
            self.look(|graph| evaluate(graph, asked.item, &model, Checkpoint::at(at.seq), Caps::DAEMON))??;
        Ok(Evaluated { evaluation, at })
    }

    /// Returns a point of the log, the newest unless one is given.
    pub(crate) fn point(&self, at: Option<u64>) -> Result<Point, Trouble> {
        self.check_read()?;
        let log = self.open_log()?;
        // The log may have grown by what the graph has not seen yet.
        let size = self.size();
        let seq = at.unwrap_or(size);
        let unknown = || {
            let text = format!("the log has {size} events and never had {seq}");
            Trouble::from(Flaw::new(Code::EMismatch, "/at/seq", text))
        };
        if seq > size {
            return Err(unknown());
        }
        let root = log.root_at(seq)?.ok_or_else(unknown)?;
        Ok(Point { seq, root })
    }

    /// Returns a card of the log.
    pub(crate) fn card(&self, id: EventId) -> Result<Card, Trouble> {
        let event = self.event(id)?.filter(|it| u32::from(it.kind().0) == ::lineage::CARD);
        let claim =
            event.as_ref().and_then(|it| Claim::read(::lineage::CARD, &tags_of(it), it.content()).ok());
        match (event, claim) {
            (Some(event), Some(Claim::Card(item))) => {
                Ok(Card { item: *item, author: event.author().as_str().to_owned() })
            }
            _ => Err(Flaw::new(Code::EItem, "/item", format!("the log has no card {id}")).into()),
        }
    }

    /// Returns what stands of a card now; nothing if the log has no such card.
    pub(crate) fn standing(&self, id: EventId) -> Result<Option<Standing>, Trouble> {
        // Until the log is read, another UPDATE may count.
        self.look(|_| ())?;
        Ok(self.cards().standing(id).cloned())
    }

    /// Returns the model that a card of the log asks for, as it was at a place.
    pub(crate) fn model_of(&self, card: &Card, at: u64) -> Result<Model, Trouble> {
        let wanted = &card.item.job.model;
        let listed = card.item.output.updaters.iter().flatten();
        let may_say = |author: Address| {
            let author = ledger::Author::lower(author);
            let is_listed = listed.clone().any(|it| is_same_author(it, author.as_str()));
            is_listed || is_same_author(&card.author, author.as_str())
        };
        self.find_model(wanted, at, may_say)
    }

    /// Returns the newest model of a name by somebody who may say.
    pub(crate) fn find_model(
        &self,
        wanted: &::lineage::ModelName,
        at: u64,
        may_say: impl Fn(Address) -> bool,
    ) -> Result<Model, Trouble> {
        self.check_read()?;
        let found = self.cards().model(wanted, at, may_say);
        let unknown = || {
            let text = format!("no model {wanted} by anybody who may publish it is visible at {at}");
            Trouble::from(Flaw::new(Code::EModel, "/j/mod", text))
        };
        let event = self.event(found.ok_or_else(unknown)?.event)?.ok_or_else(unknown)?;
        Ok(Model::read(event.content())?)
    }

    /// Refuses a card that visits what only the operator may see. Asked before anything is taken out of an event: what
    /// is wrong with a value would tell it.
    pub(crate) fn check_open(&self, item: &Item, at: Option<u64>) -> Result<(), Trouble> {
        if self.closed.is_empty() {
            return Ok(());
        }
        let crawl = self.crawl(item, at)?;
        match crawl.visited.iter().find(|it| self.closed.contains(&it.kind)) {
            Some(closed) => Err(Trouble::Closed(closed.kind)),
            None => Ok(()),
        }
    }

    /// Lists what a card visits, within what a daemon allows.
    pub(crate) fn crawl(&self, item: &Item, at: Option<u64>) -> Result<Crawl, Trouble> {
        let at = self.point(at)?;
        Ok(self.look(|graph| list(graph, item, at.seq, Caps::DAEMON))??)
    }

    /// Returns an UPDATE of the log, and its event.
    pub(crate) fn update_of(&self, id: EventId) -> Result<(Signed, Update), Trouble> {
        let event = self.event(id)?;
        let claim = event.as_ref().map(|it| Claim::read(u32::from(it.kind().0), &tags_of(it), it.content()));
        match (event, claim) {
            (Some(event), Some(Ok(Claim::Update(update)))) => Ok((event, *update)),
            _ => Err(Flaw::new(Code::EMismatch, "", format!("the log has no UPDATE {id}")).into()),
        }
    }

    /// Returns an event of the log.
    pub(crate) fn event(&self, id: EventId) -> Result<Option<Signed>, Trouble> {
        let stored = self.open_log()?.by_id(id)?;
        Ok(stored.map(|it| it.event()).transpose()?.map(|it| it.event))
    }

    fn open_log(&self) -> Result<Arc<Log>, Trouble> {
        self.log().ok_or(Trouble::Stopping)
    }
}
