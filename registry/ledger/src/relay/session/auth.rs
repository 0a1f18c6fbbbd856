//! AUTH: a client proves who it is with a signed event, for this session, this relay and this hour (NIP-42).

use base::UnixSeconds;

use super::{super::frame::reply, Session, Step, with_causes};
use crate::event::{Claimed, Kind, ParseError, Signed};

impl Session {
    pub(super) fn auth(&mut self, json: &str, now: UnixSeconds) -> Vec<Step> {
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
            Err(error) => {
                let text = format!("invalid: {}", with_causes(&error));
                return self.mistake(Step::Send(reply::ok(id, false, &text)), now);
            }
        };
        if let Err(text) = self.check_auth(&event, now) {
            return self.mistake(Step::Send(reply::ok(id, false, &text)), now);
        }
        self.proved.insert(event.author().address());
        vec![Step::Send(reply::ok(id, true, ""))]
    }

    fn bad_auth(&mut self, json: &str, error: &ParseError, now: UnixSeconds) -> Vec<Step> {
        let text = format!("invalid: {}", with_causes(error));
        let sent =
            Claimed::id_in(json).map_or_else(|| reply::notice(&text), |it| reply::ok(it, false, &text));
        self.mistake(Step::Send(sent), now)
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
}

/// Returns the host in a relay's address, without its port.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |it| it.1);
    // An IPv6 address stands in brackets, with colons of its own.
    if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() }
}
