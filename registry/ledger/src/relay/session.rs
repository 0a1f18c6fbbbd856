//! One client's session: a state machine without a socket.
//!
//! The host feeds it frames, outcomes and live events, and does the steps it returns, in order.

mod auth;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{Address, UnixSeconds};

use super::{
    Relay,
    budget::Budget,
    frame::{ClientFrame, SubscriptionId, reply},
};
use crate::{
    event::{Accepted, Claimed, EventId, Kind, VerifyError},
    filter::Filter,
    log::{AppendError, Outcome, Prepared},
    store::Brief,
};

/// What the host is to do.
#[derive(Debug)]
pub enum Step {
    /// Send this frame to the client.
    Send(String),
    /// Send this frame, which refuses an event; the word says why, for whoever counts.
    Refuse(&'static str, String),
    /// Verify this event, on any thread, and hand it, prepared, to [`Session::verified`], or the error to
    /// [`Session::rejected`].
    Verify(Box<Claimed>),
    /// Take the log's size, hand it to [`Session::begin`], send what [`super::stored`] gives for these filters, each
    /// through [`Session::stored`], then [`Session::end_of_stored`].
    Read(SubscriptionId, Arc<[Filter]>),
    /// Count with [`super::count`], and hand the result to [`Session::counted`].
    Count(SubscriptionId, Arc<[Filter]>),
    /// End the session: the client does not keep to any bound.
    End(&'static str),
}

/// A subscription: its filters, and from which place in the log on its events are live.
#[derive(Debug)]
struct Subscription {
    filters: Arc<[Filter]>,
    /// `None` until the host begins to read: what comes before that is among what is stored.
    live_from: Option<u64>,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    relay: Arc<Relay>,
    challenge: String,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    proved: BTreeSet<Address>,
    mistakes: Budget,
}

impl Session {
    /// The most identities that a client may prove in one session.
    const PROVED_MAX: usize = 16;

    /// Begins a session. The challenge is any text that nobody can guess; it is sent if some kinds are closed.
    pub fn new(relay: Arc<Relay>, challenge: String, now: UnixSeconds) -> (Self, Vec<Step>) {
        let asks = !relay.private_kinds.is_empty();
        let steps = if asks { vec![Step::Send(reply::challenge(&challenge))] } else { Vec::new() };
        let mistakes = Budget::new(relay.bad_signatures_max, now);
        let (subscriptions, proved) = (BTreeMap::new(), BTreeSet::new());
        (Self { relay, challenge, subscriptions, proved, mistakes }, steps)
    }

    /// Returns how many subscriptions the client has.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Returns who the client has proved to be.
    pub fn proved(&self) -> &BTreeSet<Address> {
        &self.proved
    }

    /// Takes a frame of the client.
    pub fn receive(&mut self, frame: &str, now: UnixSeconds) -> Vec<Step> {
        if frame.len() > self.relay.frame_bytes_max {
            let max = self.relay.frame_bytes_max;
            let text = format!("invalid: a frame has at most {max} bytes, not {}", frame.len());
            return vec![Step::Send(reply::notice(&text)), Step::End("a frame that is too long")];
        }
        // Events come by the thousand: they are read once, not first as a frame and then as an event.
        if let Some(Ok(claimed)) =
            ClientFrame::event_of(frame).map(|it| Claimed::parse(it, &self.relay.limits))
        {
            return self.claimed(claimed, now);
        }
        match ClientFrame::parse(frame, self.relay.filters_max) {
            Ok(ClientFrame::Event(json)) => self.event(json, now),
            Ok(ClientFrame::Auth(json)) => self.auth(json, now),
            Ok(ClientFrame::Request(id, filters)) => self.request(id, filters),
            Ok(ClientFrame::Count(id, filters)) => self.count(id, filters),
            Ok(ClientFrame::Close(id)) => {
                self.subscriptions.remove(&id);
                Vec::new()
            }
            Err(error) => {
                let text = format!("invalid: {}", error.what);
                let sent = match &error.subscription {
                    Some(id) => reply::closed(id, &text),
                    None => reply::notice(&text),
                };
                self.mistake(Step::Send(sent), now)
            }
        }
    }

    fn event(&mut self, json: &str, now: UnixSeconds) -> Vec<Step> {
        match Claimed::parse(json, &self.relay.limits) {
            Ok(claimed) => self.claimed(claimed, now),
            Err(error) => {
                let text = format!("invalid: {}", with_causes(&error));
                let sent = Claimed::id_in(json)
                    .map_or_else(|| Step::Refuse("invalid", reply::notice(&text)), |id| refuse(id, &text));
                self.mistake(sent, now)
            }
        }
    }

    fn claimed(&mut self, claimed: Claimed, now: UnixSeconds) -> Vec<Step> {
        // A flood of bad signatures costs a look at the form and no more.
        if !self.mistakes.has_some(now) {
            let text = "rate-limited: too many signatures that do not hold; wait a second";
            return vec![refuse(claimed.id(), text)];
        }
        vec![Step::Verify(Box::new(claimed))]
    }

    /// Lets an event that was verified pass, to be appended to the log, whose outcome goes to [`Session::outcome`]; or
    /// says what is to be done instead.
    pub fn verified(&self, prepared: Prepared) -> Result<Prepared, Step> {
        let event = prepared.event();
        // NIP-70: an event marked so is taken from its author alone.
        let is_protected = event.tags().named("-").next().is_some();
        if is_protected && !self.proved.contains(&event.author().address()) {
            let text = "auth-required: this event may be published by its author only";
            return Err(refuse(event.id(), text));
        }
        if event.kind() == Kind::AUTHENTICATION {
            return Err(refuse(event.id(), "blocked: kind 22242 is for AUTH, and is not kept"));
        }
        Ok(prepared)
    }

    /// Takes an event whose signature does not hold.
    pub fn rejected(&mut self, error: &VerifyError, now: UnixSeconds) -> Vec<Step> {
        self.mistake(refuse(error.id(), &format!("invalid: {}", with_causes(error))), now)
    }

    /// Returns the answer to an event that the log has decided on.
    pub fn outcome(id: EventId, outcome: &Result<Outcome, AppendError>) -> String {
        match outcome {
            Ok(Outcome::Accepted(it)) => reply::ok(id, true, &place(it)),
            Ok(Outcome::Duplicate(it)) => {
                let text = format!("duplicate: stored as {} {}", it.event.id(), place(it));
                reply::ok(id, true, &text)
            }
            Ok(Outcome::Refused(it)) => reply::ok(id, false, &format!("{}: {it}", it.prefix())),
            // Why the disk fails is for the operator, not for whoever is connected.
            Err(AppendError::Store(_)) => {
                reply::ok(id, false, "error: the event could not be stored; send it again")
            }
            Err(error) => reply::ok(id, false, &format!("error: {error}")),
        }
    }

    fn request(&mut self, id: SubscriptionId, filters: Vec<Filter>) -> Vec<Step> {
        let is_new = !self.subscriptions.contains_key(&id);
        if is_new && self.subscriptions.len() >= self.relay.subscriptions_max {
            let max = self.relay.subscriptions_max;
            let text = format!("rate-limited: a session has at most {max} subscriptions; close one");
            return vec![Step::Send(reply::closed(&id, &text))];
        }
        if self.is_closed_to(&filters) {
            self.subscriptions.remove(&id);
            let text = "auth-required: these kinds are for their parties; prove who you are";
            return vec![Step::Send(reply::challenge(&self.challenge)), Step::Send(reply::closed(&id, text))];
        }
        let filters: Arc<[Filter]> = filters.into();
        let subscription = Subscription { filters: filters.clone(), live_from: None };
        self.subscriptions.insert(id.clone(), subscription);
        vec![Step::Read(id, filters)]
    }

    fn count(&mut self, id: SubscriptionId, filters: Vec<Filter>) -> Vec<Step> {
        if self.is_closed_to(&filters) {
            let text = "auth-required: these kinds are for their parties; prove who you are";
            return vec![Step::Send(reply::closed(&id, text))];
        }
        vec![Step::Count(id, filters.into())]
    }

    /// Says whether all that is asked for is closed to somebody who has proved nothing.
    fn is_closed_to(&self, filters: &[Filter]) -> bool {
        let private = &self.relay.private_kinds;
        let only_private =
            |it: &Filter| it.kinds.as_ref().is_some_and(|it| !it.is_empty() && it.is_subset(private));
        self.proved.is_empty() && filters.iter().all(only_private)
    }

    /// Notes that the stored events of a subscription are read now, of a log of `size`. Live are those behind them.
    pub fn begin(&mut self, id: &SubscriptionId, size: u64) {
        if let Some(subscription) = self.subscriptions.get_mut(id) {
            subscription.live_from = Some(size);
        }
    }

    /// Returns the frame for a stored event. Until the frame behind the last of them nothing else is done, so the
    /// subscription stands.
    pub fn stored(id: &SubscriptionId, brief: &Brief) -> String {
        reply::event(id, &brief.json)
    }

    /// Returns the frame behind the stored events.
    pub fn end_of_stored(id: &SubscriptionId) -> String {
        reply::eose(id)
    }

    /// Ends a subscription whose events could not be read.
    pub fn failed(&mut self, id: &SubscriptionId) -> String {
        self.subscriptions.remove(id);
        reply::closed(id, "error: the events could not be read; ask again")
    }

    /// Returns the answer to COUNT.
    pub fn counted(id: &SubscriptionId, count: u64, is_all: bool) -> String {
        reply::count(id, count, is_all)
    }

    /// Returns the frames for an event that came into the log: one for each subscription that asks for it.
    pub fn live(&self, accepted: &Accepted) -> Vec<String> {
        self.asking(accepted).into_iter().map(|id| Self::told(id, accepted)).collect()
    }

    /// Returns the frame for an event that came into the log, to a subscription that asks for it.
    pub fn told(id: &SubscriptionId, accepted: &Accepted) -> String {
        reply::event(id, accepted.json())
    }

    /// Returns the subscriptions that ask for an event that came into the log.
    pub fn asking(&self, accepted: &Accepted) -> Vec<&SubscriptionId> {
        let event = &accepted.event;
        let asks = |it: &Subscription| {
            it.live_from.is_some_and(|from| accepted.at.seq >= from)
                && it.filters.iter().any(|filter| filter.matches(event))
        };
        let asking: Vec<_> = self.subscriptions.iter().filter(|it| asks(it.1)).map(|it| it.0).collect();
        // Most events are asked for by few; who may read them is looked at last.
        if asking.is_empty() {
            return asking;
        }
        let may_read = || self.relay.may_read(event.author().address(), event.tags(), &self.proved);
        if self.relay.is_closed(event.kind()) && !may_read() {
            return Vec::new();
        }
        asking
    }

    /// Answers a mistake. Whoever makes nothing else is sent away.
    fn mistake(&mut self, sent: Step, now: UnixSeconds) -> Vec<Step> {
        if !self.mistakes.has_some(now) {
            let text = "rate-limited: too many mistakes";
            return vec![sent, Step::Send(reply::notice(text)), Step::End("too many mistakes")];
        }
        self.mistakes.spend();
        vec![sent]
    }
}

/// Refuses an event, with a text whose first word says why (NIP-01).
fn refuse(id: EventId, text: &str) -> Step {
    let words = ["auth-required", "blocked", "rate-limited"];
    let word = words.into_iter().find(|it| text.starts_with(it)).unwrap_or("invalid");
    Step::Refuse(word, reply::ok(id, false, text))
}

/// Returns what a client may know of an event's place.
fn place(accepted: &Accepted) -> String {
    let at = &accepted.at;
    format!("seq={} clock={}:{}", at.seq, accepted.event.kind(), at.n)
}

/// Returns an error with all that led to it, for somebody who has nothing but this line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    causes.fold(error.to_string(), |text, it| format!("{text}: {it}"))
}
