//! What the log lets in. Pure: an event, the hour, the policy, and what its subspace is so far.
//!
//! A signature that holds is not enough: a date from the future, an `auth` that ran out, or a sid that is another
//! subspace's would be a fact that nobody can use.

use std::time::Duration;

use base::{Sha256, UnixSeconds};

use crate::{
    auth::{AuthError, AuthTag},
    event::{Kind, Sid, Signed},
    kinds::Subspace,
};

/// What an operator lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How far an event's date may lie in the future.
    pub ahead_max: Duration,
    /// Whether a subspace may be named by a symbol such as `0xMG`, which nothing can check.
    pub allow_symbolic_sids: bool,
    /// Whether events are let in before their subspace is known; logs that exchange events need that.
    pub allow_orphans: bool,
    /// Whether kinds are kept that the protocol does not declare. They are appended like all others.
    pub keep_other_kinds: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ahead_max: Duration::from_mins(15),
            allow_symbolic_sids: true,
            allow_orphans: true,
            keep_other_kinds: false,
        }
    }
}

/// What is known of the subspace that an event names, before the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether somebody made it.
    pub is_made: bool,
    /// How its name, operations and rules are split, as [`split`] digests them.
    pub split: Option<Sha256>,
    /// How many events it has of the kind that comes now.
    pub clock: u64,
}

/// Why an event is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its date lies in the future.
    #[error("created_at {created_at} is {ahead} s ahead of this log's clock; {max} s are allowed")]
    Future {
        /// The date.
        created_at: UnixSeconds,
        /// By how much.
        ahead: u64,
        /// How much would do.
        max: u64,
    },
    /// A kind that this log does not keep.
    #[error("kind {0} is not kept here: this log takes 30100 to 30799")]
    Kind(Kind),
    /// A tag that its kind needs.
    #[error("kind {kind} needs a tag `{tag}`")]
    Tag {
        /// The kind.
        kind: Kind,
        /// The tag.
        tag: &'static str,
    },
    /// The digest is not the one of the subspace's own tags.
    #[error("sid must be {expected}: the SHA-256 of subspace_name, ops and rules")]
    Sid {
        /// The right one.
        expected: Sid,
    },
    /// A symbol, where digests are asked for.
    #[error("sid {0} is a symbol; this log wants 0x and 64 hex digits")]
    Symbol(Sid),
    /// The same text, split elsewhere, has the same digest: somebody pretends.
    #[error("sid {0} belongs to a subspace whose name, ops and rules are split elsewhere")]
    Split(Sid),
    /// Nobody made the subspace.
    #[error("subspace {0} is not known to this log")]
    Orphan(Sid),
    /// Its own `auth` tag does not allow it.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Its author says to have seen more than there is.
    #[error("vlc: {kind}={seen} was never reached; the counter stands at {clock}")]
    Seen {
        /// The kind.
        kind: Kind,
        /// What the author says.
        seen: u64,
        /// What there is.
        clock: u64,
    },
    /// What it says does not hold, by the rules of whoever derives something from it: see [`crate::Derived::examine`].
    #[error(transparent)]
    Content(#[from] Objection),
    /// Whoever has to look at it cannot yet. That passes: the same event may be let in later.
    #[error("{0}; send the event again")]
    NotYet(String),
}

/// Why somebody who derives something from the log objects to an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct Objection {
    /// For programs, such as `E_LIMITS`.
    pub code: &'static str,
    /// Where and what, for people.
    pub text: String,
}

impl Refusal {
    /// Returns the word before the colon in a relay's answer (NIP-01).
    pub fn prefix(&self) -> &'static str {
        match self {
            Self::Kind(_) | Self::Symbol(_) => "blocked",
            Self::Orphan(_) => "restricted",
            Self::NotYet(_) => "error",
            Self::Future { .. }
            | Self::Tag { .. }
            | Self::Sid { .. }
            | Self::Split(_)
            | Self::Auth(_)
            | Self::Content(_)
            | Self::Seen { .. } => "invalid",
        }
    }
}

/// Digests how a subspace's name, operations and rules are split: the sid itself does not say it.
pub fn split(subspace: &Subspace) -> Sha256 {
    let parts = [&subspace.subspace_name, &subspace.ops, &subspace.rules];
    let mut bytes = Vec::new();
    for part in parts {
        let part = part.as_deref().unwrap_or_default();
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    Sha256::of(&bytes)
}

/// Says why an event is not let in, if it is not.
pub fn admit(
    event: &Signed,
    now: UnixSeconds,
    policy: &Policy,
    known: Known,
    clock: impl Fn(Kind) -> u64,
) -> Result<(), Refusal> {
    let (kind, created_at) = (event.kind(), event.created_at());
    if created_at > now.after(policy.ahead_max) {
        let (ahead, max) = (created_at.since(now).as_secs(), policy.ahead_max.as_secs());
        return Err(Refusal::Future { created_at, ahead, max });
    }
    // Those that NIP-01 calls ephemeral are for nobody to keep, and a client's AUTH is for one relay alone.
    let is_fleeting = (20000..30000).contains(&kind.0);
    if !kind.is_ledger() && (is_fleeting || !policy.keep_other_kinds) {
        return Err(Refusal::Kind(kind));
    }
    if kind.needs_subspace() && event.tags().first("d").is_none() {
        return Err(Refusal::Tag { kind, tag: "d" });
    }
    match event.sid() {
        None if kind.needs_subspace() => return Err(Refusal::Tag { kind, tag: "sid" }),
        None => {}
        Some(sid) => admit_sid(event, sid, policy, known)?,
    }
    AuthTag::check(event, known.clock)?;
    admit_seen(event, clock)
}

fn admit_sid(event: &Signed, sid: &Sid, policy: &Policy, known: Known) -> Result<(), Refusal> {
    if !sid.is_digest() && !policy.allow_symbolic_sids {
        return Err(Refusal::Symbol(sid.clone()));
    }
    if event.kind() != Kind::SUBSPACE {
        return if known.is_made || policy.allow_orphans {
            Ok(())
        } else {
            Err(Refusal::Orphan(sid.clone()))
        };
    }
    if !sid.is_digest() {
        return Ok(());
    }
    let subspace = Subspace::read(event.tags());
    let expected = subspace.computed_sid();
    if *sid != expected {
        return Err(Refusal::Sid { expected });
    }
    if known.split.is_some_and(|it| it != split(&subspace)) {
        Err(Refusal::Split(sid.clone()))
    } else {
        Ok(())
    }
}

/// Checks what an author says to have seen: `["vlc","30405=16"]`.
fn admit_seen(event: &Signed, clock: impl Fn(Kind) -> u64) -> Result<(), Refusal> {
    for said in event.tags().every("vlc") {
        let pair =
            said.split_once('=').and_then(|(kind, seen)| Some((kind.parse().ok()?, seen.parse().ok()?)));
        // What cannot be read says nothing; the tag stays as it was signed.
        if let Some((kind, seen)) = pair {
            let (kind, clock) = (Kind(kind), clock(Kind(kind)));
            if seen > clock {
                return Err(Refusal::Seen { kind, seen, clock });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::Auth,
        event::{Draft, Scheme, Tag, Tags},
        key::SecretKey,
        kinds::{Operation, Post, TokenIssue},
    };

    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    fn event(change: impl FnOnce(&mut Draft)) -> Signed {
        let sid = Some(Sid::parse("0xMG").unwrap());
        let mut draft = Post::default().draft(Operation { created_at: NOW, sid, ..Operation::default() });
        change(&mut draft);
        SecretKey::from_bytes([7; 32]).unwrap().sign(draft, Scheme::SpecEip191)
    }

    fn refusal(event: &Signed, policy: &Policy, known: Known) -> String {
        let outcome = admit(event, NOW, policy, known, |_| known.clock);
        outcome.err().map_or(String::new(), |it| format!("{}: {it}", it.prefix()))
    }

    #[test]
    fn the_future_is_refused_and_the_past_is_not() {
        let at = |seconds: u64| {
            refusal(&event(|it| it.created_at = UnixSeconds(seconds)), &Policy::default(), Known::default())
        };
        assert_eq!(at(NOW.0 + 900), "");
        assert_eq!(at(0), "");
        let expected = "invalid: created_at 1000901 is 901 s ahead of this log's clock; 900 s are allowed";
        assert_eq!(at(NOW.0 + 901), expected);
        assert!(at((1 << 53) - 1).contains("ahead"));
    }

    #[test]
    fn kinds_and_tags_that_the_ledger_needs() {
        let policy = Policy::default();
        let of = |change: fn(&mut Draft), policy: &Policy| refusal(&event(change), policy, Known::default());
        assert_eq!(
            of(|it| it.kind = Kind(1), &policy),
            "blocked: kind 1 is not kept here: this log takes 30100 to 30799"
        );
        let all = Policy { keep_other_kinds: true, ..policy };
        assert_eq!(of(|it| it.kind = Kind(1), &all), "");
        assert!(of(|it| it.kind = Kind::AUTHENTICATION, &all).starts_with("blocked"));
        assert_eq!(of(|it| it.tags = Tags::default(), &policy), "invalid: kind 30300 needs a tag `d`");
        let only_d = |it: &mut Draft| it.tags = [Tag::pair("d", "subspace_op")].into_iter().collect();
        assert_eq!(of(only_d, &policy), "invalid: kind 30300 needs a tag `sid`");
        let token = TokenIssue::default().draft(Operation { created_at: NOW, ..Operation::default() });
        let token = SecretKey::from_bytes([7; 32]).unwrap().sign(token, Scheme::Sdk);
        assert_eq!(refusal(&token, &policy, Known::default()), "", "tokens live outside of any subspace");
    }

    #[test]
    fn a_sid_is_the_digest_of_its_own_subspace() {
        let make = |name: &str, ops: &str, sid: Option<Sid>| {
            let text = |it: &str| Some(it.to_owned());
            let subspace = Subspace { subspace_name: text(name), ops: text(ops), ..Subspace::default() };
            let sid = sid.or_else(|| Some(subspace.computed_sid()));
            let split = split(&subspace);
            let draft = subspace.draft(Operation { created_at: NOW, sid, ..Operation::default() });
            (SecretKey::from_bytes([7; 32]).unwrap().sign(draft, Scheme::Sdk), split)
        };
        let policy = Policy::default();
        let (good, good_split) = make("ab", "x=1", None);
        let (other, other_split) = make("a", "bx=1", None);
        assert_eq!(good.sid(), other.sid(), "one digest for both");
        assert_ne!(good_split, other_split);
        assert_eq!(refusal(&good, &policy, Known::default()), "");
        let known = Known { is_made: true, split: Some(good_split), clock: 1 };
        assert_eq!(refusal(&good, &policy, known), "", "said twice");
        assert!(refusal(&other, &policy, known).contains("split elsewhere"));
        let (wrong, _) = make("ab", "x=2", good.sid().cloned());
        assert!(refusal(&wrong, &policy, Known::default()).starts_with("invalid: sid must be 0x"));
        let symbol = Sid::parse("0xMG").ok();
        let strict = Policy { allow_symbolic_sids: false, ..policy };
        assert_eq!(refusal(&make("m", "", symbol.clone()).0, &policy, Known::default()), "");
        assert!(
            refusal(&make("m", "", symbol).0, &strict, Known::default()).starts_with("blocked: sid 0xMG")
        );
    }

    #[test]
    fn orphans_wait_for_nobody_unless_the_operator_says_so() {
        let strict = Policy { allow_orphans: false, ..Policy::default() };
        let orphan = event(|_| ());
        assert_eq!(refusal(&orphan, &Policy::default(), Known::default()), "");
        assert_eq!(
            refusal(&orphan, &strict, Known::default()),
            "restricted: subspace 0xMG is not known to this log"
        );
        assert_eq!(refusal(&orphan, &strict, Known { is_made: true, ..Known::default() }), "");
    }

    #[test]
    fn auth_and_what_was_seen_are_held_against_the_counter() {
        let policy = Policy::default();
        let known = Known { clock: 5, ..Known::default() };
        let with = |tag: Tag| refusal(&event(|it| it.tags.push(tag)), &policy, known);
        assert_eq!(with(Auth::write(Kind::POST, 6).tag()), "");
        assert_eq!(
            with(Auth::write(Kind::POST, 5).tag()),
            "invalid: auth: expired: exp=5, and the counter stands at 5"
        );
        assert_eq!(with(Tag::pair("vlc", "30300=5")), "");
        assert!(with(Tag::pair("vlc", "30300=6")).starts_with("invalid: vlc: 30300=6 was never reached"));
        assert_eq!(with(Tag::pair("vlc", "anything")), "");
    }
}
