//! The `auth` tag: what an author allows this event of theirs to be. Nobody grants it, so it can only narrow.
//!
//! Two forms are written: one element for each field, and one element with commas. Both are read alike.

use std::collections::BTreeMap;

use crate::event::{Kind, Signed, Tag, TagView, Tags};

/// The bit of `action` that lets an event be written.
const WRITE: u32 = 2;

/// What a checkable `auth` tag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth {
    /// What is allowed, as bits: 1 read, 2 write, 4 execute.
    pub action: u32,
    /// For which kind.
    pub key: u32,
    /// Until the subspace's counter of that kind is here.
    pub exp: u64,
}

/// What an event's `auth` tag turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthTag {
    /// There is none: nothing to check.
    Absent,
    /// Of an older form, which names a dimension and no kind: kept as written, and not checkable.
    Dimension,
    /// To be held against the kind and the clock.
    Checkable(Auth),
}

/// Why an `auth` tag lets its own event not in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There are two: which one counts is anybody's guess.
    #[error("auth: more than one tag")]
    Twice,
    /// A field that is none, or is no number.
    #[error("auth: `{0}` is not one of action=, key=, dim=, exp= and a whole number")]
    Field(String),
    /// A field that is there twice.
    #[error("auth: `{0}` is there twice")]
    Repeated(String),
    /// A field that is not there.
    #[error("auth: `{0}` is missing")]
    Missing(&'static str),
    /// For another kind.
    #[error("auth: key={key} is not this event's kind, {kind}")]
    Key {
        /// What the tag says.
        key: u32,
        /// What the event is.
        kind: Kind,
    },
    /// Not for writing.
    #[error("auth: action={action} does not allow to write, which is 2")]
    Action {
        /// What the tag says.
        action: u32,
    },
    /// The counter has passed it.
    #[error("auth: expired: exp={exp}, and the counter stands at {clock}")]
    Expired {
        /// What the tag says.
        exp: u64,
        /// Where the counter is.
        clock: u64,
    },
}

impl AuthTag {
    /// Reads the `auth` tag among an event's tags.
    pub fn of(tags: &Tags) -> Result<Self, AuthError> {
        let mut found = tags.named("auth");
        let Some(tag) = found.next() else {
            return Ok(Self::Absent);
        };
        if found.next().is_some() { Err(AuthError::Twice) } else { Self::parse(tag) }
    }

    fn parse(tag: TagView<'_>) -> Result<Self, AuthError> {
        let mut fields = BTreeMap::new();
        for field in tag.values().flat_map(|it| it.split(',')).map(str::trim) {
            let wrong = || AuthError::Field(field.chars().take(40).collect());
            let (name, digits) = field.split_once('=').ok_or_else(wrong)?;
            let known = ["action", "key", "dim", "exp"].contains(&name);
            let number = whole(digits).filter(|_| known).ok_or_else(wrong)?;
            if fields.insert(name, number).is_some() {
                return Err(AuthError::Repeated(name.to_owned()));
            }
        }
        let take = |name: &'static str| fields.get(name).copied().ok_or(AuthError::Missing(name));
        let (action, exp) = (take("action")?, take("exp")?);
        if fields.contains_key("dim") {
            return Ok(Self::Dimension);
        }
        let small = |number: u64, name: &str| {
            u32::try_from(number).map_err(|_| AuthError::Field(format!("{name}={number}")))
        };
        Ok(Self::Checkable(Auth { action: small(action, "action")?, key: small(take("key")?, "key")?, exp }))
    }

    /// Checks an event's own `auth` tag. `clock` is its subspace's counter for its kind, without this event.
    pub fn check(event: &Signed, clock: u64) -> Result<(), AuthError> {
        match Self::of(event.tags())? {
            Self::Absent | Self::Dimension => Ok(()),
            Self::Checkable(auth) => auth.check(event.kind(), clock),
        }
    }
}

impl Auth {
    /// Returns leave to write one kind until its counter reaches `exp`.
    pub fn write(kind: Kind, exp: u64) -> Self {
        Self { action: 3, key: kind.0.into(), exp }
    }

    /// Returns the tag in the specification's form.
    pub fn tag(&self) -> Tag {
        let fields =
            [format!("action={}", self.action), format!("key={}", self.key), format!("exp={}", self.exp)];
        Tag::list("auth", fields.iter().map(String::as_str))
    }

    fn check(self, kind: Kind, clock: u64) -> Result<(), AuthError> {
        if self.key != u32::from(kind.0) {
            return Err(AuthError::Key { key: self.key, kind });
        }
        if self.action & WRITE == 0 {
            return Err(AuthError::Action { action: self.action });
        }
        if self.exp <= clock {
            return Err(AuthError::Expired { exp: self.exp, clock });
        }
        Ok(())
    }
}

/// Reads digits and nothing else: no sign, no exponent, no tail.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(elements: &[&str]) -> Result<AuthTag, String> {
        let tags = [Tag::list("auth", elements.iter().copied())].into_iter().collect();
        AuthTag::of(&tags).map_err(|it| it.to_string())
    }

    #[test]
    fn both_forms_say_the_same() {
        let expected = Ok(AuthTag::Checkable(Auth { action: 3, key: 30405, exp: 500_000 }));
        assert_eq!(parse(&["action=3", "key=30405", "exp=500000"]), expected);
        assert_eq!(parse(&["action=3,key=30405,exp=500000"]), expected);
        assert_eq!(parse(&[" action=3, key=30405 ", "exp=500000"]), expected);
        assert_eq!(parse(&["action=3", "dim=3", "exp=1"]), Ok(AuthTag::Dimension));
        assert_eq!(AuthTag::of(&Tags::default()), Ok(AuthTag::Absent));
        let tag = Auth::write(Kind(30405), 500_000).tag();
        assert_eq!(AuthTag::of(&[tag].into_iter().collect()).map_err(|it| it.to_string()), expected);
    }

    #[test]
    fn a_tag_that_is_not_understood_is_refused() {
        let check = |elements: &[&str], expected: &str| {
            assert_eq!(parse(elements).unwrap_err(), expected, "{elements:?}");
        };
        let field =
            |it: &str| format!("auth: `{it}` is not one of action=, key=, dim=, exp= and a whole number");
        check(&["action=3x", "key=1", "exp=1"], &field("action=3x"));
        check(&["action=1e9", "key=1", "exp=1"], &field("action=1e9"));
        check(&["action=+3", "key=1", "exp=1"], &field("action=+3"));
        check(&["action=", "key=1", "exp=1"], &field("action="));
        check(&["action=3", "key=99999999999", "exp=1"], &field("key=99999999999"));
        check(&["action=3", "key=1", "exp=1", "who=me"], &field("who=me"));
        check(&[], "auth: `action` is missing");
        check(&["action=3", "exp=1"], "auth: `key` is missing");
        check(&["action=3", "key=1"], "auth: `exp` is missing");
        check(&["action=3,action=3", "key=1", "exp=1"], "auth: `action` is there twice");
        let twice = [Tag::pair("auth", "x"), Tag::pair("auth", "x")].into_iter().collect();
        assert_eq!(AuthTag::of(&twice), Err(AuthError::Twice));
    }

    #[test]
    fn it_narrows_by_kind_by_bit_and_by_counter() {
        let auth = Auth { action: 3, key: 30405, exp: 5 };
        let kind = Kind(30405);
        assert_eq!(auth.check(kind, 4), Ok(()));
        assert_eq!(auth.check(kind, 5), Err(AuthError::Expired { exp: 5, clock: 5 }));
        assert_eq!(auth.check(Kind(30409), 0), Err(AuthError::Key { key: 30405, kind: Kind(30409) }));
        assert_eq!(Auth { action: 5, ..auth }.check(kind, 0), Err(AuthError::Action { action: 5 }));
    }
}
