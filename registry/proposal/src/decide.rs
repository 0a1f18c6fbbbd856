//! What to do about a proposal, given what there is already. Pure: a table of tests says all of it.

use crate::forge::{Request, State};

/// What stands on the proposal's branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// There is no such branch.
    Missing,
    /// It says exactly what is to be proposed now.
    Same,
    /// It is as we made it, for another entry or on top of an older index.
    Ours,
    /// Somebody else has worked on it.
    Theirs,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The index has the entry already.
    Nothing,
    /// Put a new commit on the branch; then see to the pull request.
    Push,
    /// The branch is right; see to the pull request.
    Keep,
    /// It cannot go on by itself.
    Refuse(Refusal),
}

/// Why it cannot go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody turned the proposal down.
    Closed,
    /// Somebody else has worked on the branch.
    Diverged,
}

/// Decides. `newest` is the newest pull request from the branch; `again` overrules what was closed.
pub fn decide(is_in_base: bool, branch: Branch, newest: Option<&Request>, again: bool) -> Decision {
    let state = newest.map(|it| it.state);
    match (branch, state) {
        _ if is_in_base => Decision::Nothing,
        (_, Some(State::Closed)) if !again => Decision::Refuse(Refusal::Closed),
        (Branch::Theirs, _) => Decision::Refuse(Refusal::Diverged),
        // What was merged from this very commit and is not in the index any more was taken back: it needs a new one.
        (Branch::Same, None | Some(State::Open | State::Closed)) => Decision::Keep,
        (Branch::Missing | Branch::Ours | Branch::Same, _) => Decision::Push,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Text;

    #[test]
    fn every_case_has_its_answer() {
        use Branch::{Missing, Ours, Same, Theirs};
        use Decision::{Keep, Nothing, Push, Refuse};
        use State::{Closed, Merged, Open};
        let check = |in_base: bool, branch: Branch, state: Option<State>, again: bool, expected: Decision| {
            let text = Text { title: String::new(), body: String::new() };
            let request = state.map(|state| Request { number: 1, link: String::new(), state, text });
            let found = decide(in_base, branch, request.as_ref(), again);
            assert_eq!(found, expected, "{in_base} {branch:?} {state:?} {again}");
        };
        for branch in [Missing, Same, Ours, Theirs] {
            for state in [None, Some(Open), Some(Merged), Some(Closed)] {
                check(true, branch, state, false, Nothing);
            }
            check(false, branch, Some(Closed), false, Refuse(Refusal::Closed));
        }
        for state in [None, Some(Open), Some(Merged)] {
            check(false, Missing, state, false, Push);
            check(false, Ours, state, false, Push);
            check(false, Theirs, state, false, Refuse(Refusal::Diverged));
        }
        check(false, Same, None, false, Keep);
        check(false, Same, Some(Open), false, Keep);
        check(false, Same, Some(Merged), false, Push);
        check(false, Missing, Some(Closed), true, Push);
        check(false, Same, Some(Closed), true, Keep);
        check(false, Theirs, Some(Closed), true, Refuse(Refusal::Diverged));
    }
}
