//! One client's session: a state machine without a socket.
//!
//! The host feeds it frames, outcomes and live events, and does the steps it returns, in order.

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
    event::{Accepted, Claimed, EventId, Kind, ParseError, Signed, VerifyError},
    filter::Filter,
    log::{AppendError, Outcome, Prepared},
    store::Stored,
};

/// What the host is to do.
#[derive(Debug)]
pub enum Step {
    /// Send this frame to the client.
    Send(String),
    /// Verify this event, on any thread, and hand the result to [`Session::verified`] or [`Session::rejected`].
    Verify(Box<Claimed>),
    /// Append this to the log, and hand the outcome to [`Session::outcome`].
    Append(Box<Prepared>),
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
                self.mistake(sent, now)
            }
        }
    }

    fn event(&mut self, json: &str, now: UnixSeconds) -> Vec<Step> {
        match Claimed::parse(json, &self.relay.limits) {
            // A flood of bad signatures costs a look at the form and no more.
            Ok(claimed) if !self.mistakes.has_some(now) => {
                let text = "rate-limited: too many signatures that do not hold; wait a second";
                vec![Step::Send(reply::ok(claimed.id(), false, text))]
            }
            Ok(claimed) => vec![Step::Verify(Box::new(claimed))],
            Err(error) => {
                let text = format!("invalid: {}", with_causes(&error));
                let sent = match Claimed::id_in(json) {
                    Some(id) => reply::ok(id, false, &text),
                    None => reply::notice(&text),
                };
                self.mistake(sent, now)
            }
        }
    }

    /// Takes an event that was verified.
    pub fn verified(&self, event: Signed) -> Step {
        // NIP-70: an event marked so is taken from its author alone.
        let is_protected = event.tags().named("-").next().is_some();
        if is_protected && !self.proved.contains(&event.author().address()) {
            let text = "auth-required: this event may be published by its author only";
            return Step::Send(reply::ok(event.id(), false, text));
        }
        if event.kind() == Kind::AUTHENTICATION {
            let text = "blocked: kind 22242 is for AUTH, and is not kept";
            return Step::Send(reply::ok(event.id(), false, text));
        }
        Step::Append(Box::new(event.into()))
    }

    /// Takes an event whose signature does not hold.
    pub fn rejected(&mut self, id: EventId, error: &VerifyError, now: UnixSeconds) -> Vec<Step> {
        let sent = reply::ok(id, false, &format!("invalid: {}", with_causes(error)));
        self.mistake(sent, now)
    }

    /// Returns the answer to an event that the log has decided on.
    pub fn outcome(&self, id: EventId, outcome: &Result<Outcome, AppendError>) -> String {
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

    /// Returns the frame for a stored event, `None` if the subscription was closed meanwhile.
    pub fn stored(&self, id: &SubscriptionId, stored: &Stored) -> Option<String> {
        self.subscriptions.contains_key(id).then(|| reply::event(id, &stored.json))
    }

    /// Returns the frame behind the stored events.
    pub fn end_of_stored(&self, id: &SubscriptionId) -> Option<String> {
        self.subscriptions.contains_key(id).then(|| reply::eose(id))
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
        let event = &accepted.event;
        let asks = |it: &Subscription| {
            it.live_from.is_some_and(|from| accepted.at.seq >= from)
                && it.filters.iter().any(|filter| filter.matches(event))
        };
        let asking = self.subscriptions.iter().filter(|it| asks(it.1)).map(|it| it.0);
        let mut frames = asking.map(|id| reply::event(id, accepted.json())).peekable();
        // Most events are asked for by few; who may read them is looked at last.
        if frames.peek().is_none() || !self.relay.may_read(event, &self.proved) {
            return Vec::new();
        }
        frames.collect()
    }

    fn auth(&mut self, json: &str, now: UnixSeconds) -> Vec<Step> {
        let claimed = match Claimed::parse(json, &self.relay.limits) {
            Ok(claimed) => claimed,
            Err(error) => return self.bad_auth(json, &error, now),
        };
        let id = claimed.id();
        if !self.mistakes.has_some(now) {
            let text = "rate-limited: too many signatures that do not hold; wait a second";
            return vec![Step::Send(reply::ok(id, false, text))];
        }
        let event = match claimed.verify(self.relay.leniency) {
            Ok(event) => event,
            Err(error) => return self.rejected(id, &error, now),
        };
        if let Err(text) = self.check_auth(&event, now) {
            return self.mistake(reply::ok(id, false, &text), now);
        }
        self.proved.insert(event.author().address());
        vec![Step::Send(reply::ok(id, true, ""))]
    }

    fn bad_auth(&mut self, json: &str, error: &ParseError, now: UnixSeconds) -> Vec<Step> {
        let text = format!("invalid: {}", with_causes(error));
        let sent =
            Claimed::id_in(json).map_or_else(|| reply::notice(&text), |it| reply::ok(it, false, &text));
        self.mistake(sent, now)
    }

    fn check_auth(&self, event: &Signed, now: UnixSeconds) -> Result<(), String> {
        if event.kind() != Kind::AUTHENTICATION {
            return Err(format!("invalid: AUTH needs kind 22242, not {}", event.kind()));
        }
        let at = event.created_at();
        if now.since(at).max(at.since(now)) > self.relay.auth_age_max {
            return Err("invalid: created_at is too far from this relay's clock".to_owned());
        }
        if event.tags().first("challenge") != Some(&self.challenge) {
            return Err("invalid: tag `challenge` is not the one of this session".to_owned());
        }
        let meant = event.tags().first("relay").and_then(host);
        if !self.relay.hosts.is_empty() && meant.is_none_or(|it| !self.relay.hosts.contains(it)) {
            return Err("invalid: tag `relay` names another relay".to_owned());
        }
        if self.proved.len() >= Self::PROVED_MAX {
            return Err("rate-limited: too many identities in one session".to_owned());
        }
        Ok(())
    }

    /// Answers a mistake. Whoever makes nothing else is sent away.
    fn mistake(&mut self, sent: String, now: UnixSeconds) -> Vec<Step> {
        if !self.mistakes.has_some(now) {
            let text = "rate-limited: too many mistakes";
            return vec![Step::Send(sent), Step::Send(reply::notice(text)), Step::End("too many mistakes")];
        }
        self.mistakes.spend();
        vec![Step::Send(sent)]
    }
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

/// Returns the host in a relay's address, without its port.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    // An IPv6 address stands in brackets, with colons of its own.
    if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() }
}
