//! Who is to blame when bytes differ from the promise.

use base::Sha256;

/// What one try gave that was not the promised bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which source it came from.
    pub source: String,
    /// The digest of what came.
    pub digest: Sha256,
    /// Its size.
    pub size_bytes: u64,
}

/// What several tries tell together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One try, or none: it may be either. Try again.
    Unclear,
    /// The same wrong bytes came twice: they are what the sources have, so the index is wrong.
    Index {
        /// The digest that the sources agree on.
        digest: Sha256,
        /// The size that goes with it.
        size_bytes: u64,
    },
    /// Different wrong bytes each time: something spoils them on the way.
    Transfer,
}

/// Judges from the tries alone.
pub fn judge(tries: &[Try]) -> Verdict {
    let seen_before = |(at, it): &(usize, &Try)| tries[..*at].iter().any(|other| other.digest == it.digest);
    match tries.iter().enumerate().find(seen_before) {
        Some((_, it)) => Verdict::Index { digest: it.digest, size_bytes: it.size_bytes },
        None if tries.len() < 2 => Verdict::Unclear,
        None => Verdict::Transfer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_wrong_digest_twice_blames_the_index_and_different_ones_blame_the_transfer() {
        let check = |contents: &[&str], verdict: Verdict| {
            let of =
                |it: &&str| Try { source: "hub".into(), digest: Sha256::of(it.as_bytes()), size_bytes: 1 };
            assert_eq!(judge(&contents.iter().map(of).collect::<Vec<_>>()), verdict, "{contents:?}");
        };
        let index = |it: &str| Verdict::Index { digest: Sha256::of(it.as_bytes()), size_bytes: 1 };
        check(&[], Verdict::Unclear);
        check(&["a"], Verdict::Unclear);
        check(&["a", "a"], index("a"));
        check(&["a", "b"], Verdict::Transfer);
        check(&["a", "b", "b"], index("b"));
    }
}
