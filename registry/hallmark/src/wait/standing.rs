//! How the models stand that are waited for, and what can be hoped for each. Pure.

use std::collections::BTreeMap;

use base::{Clock as _, SystemClock};

use crate::{
    state::State,
    status::{Row, again, one_line},
};

/// The models that are waited for, and how each stands, as far as that was told.
#[derive(Debug, Default)]
pub(super) struct Standing(BTreeMap<String, Option<Row>>);

/// What can be hoped for, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prospect {
    /// It is there.
    Deployed,
    /// It comes by itself, or is tried again by itself.
    Open,
    /// It does not come unless somebody changes something.
    Hopeless,
}

/// Says what can be hoped for one model.
pub(super) fn prospect(row: &Row) -> Prospect {
    match row.state {
        State::Deployed => Prospect::Deployed,
        State::Queued | State::Fetching => Prospect::Open,
        State::Failed if row.retry_at.is_some() => Prospect::Open,
        // Bytes that were wrong are tried again too, but far apart, and wrong bytes seldom become right.
        State::Failed
        | State::Quarantined
        | State::Held
        | State::Stub
        | State::Missing
        | State::Available
        | State::Withdrawn => Prospect::Hopeless,
    }
}

/// Says in words how a model stands.
pub(super) fn telling(row: &Row) -> String {
    let mut whys = row.why.iter().map(|it| one_line(it)).collect::<Vec<_>>();
    whys.extend(row.retry_at.map(|at| again(at, SystemClock.now())));
    if matches!(row.state, State::Available | State::Withdrawn) {
        whys.push(format!(
            "nobody asks for it: list it under [deploy] models, or run `hallmark sync {}`",
            row.id
        ));
    }
    let why = if whys.is_empty() { String::new() } else { format!(": {}", whys.join("; ")) };
    format!("{} is {}{why}", row.id, row.state)
}

impl Standing {
    /// Begins to wait for a model.
    pub(super) fn add(&mut self, id: &str) {
        self.0.entry(id.to_owned()).or_default();
    }

    /// Lists what is waited for.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Takes how a model stands. Returns it if it is waited for and something about it is new.
    pub(super) fn take(&mut self, row: Row) -> Option<&Row> {
        let known = self.0.get_mut(&row.id)?;
        if known.as_ref().is_some_and(|it| it.state == row.state && it.why == row.why) {
            return None;
        }
        Some(known.insert(row))
    }

    /// Says what can be hoped for all of them together.
    pub(super) fn prospect(&self) -> Prospect {
        let each = self.0.values().map(|it| it.as_ref().map_or(Prospect::Open, prospect));
        each.max().unwrap_or(Prospect::Deployed)
    }

    /// Names those that are not deployed.
    pub(super) fn open(&self) -> Vec<String> {
        let open = self.0.iter().filter_map(|(id, row)| match row {
            None => Some(id.clone()),
            Some(row) => (row.state != State::Deployed).then(|| format!("{id} ({})", row.state)),
        });
        open.collect()
    }
}

#[cfg(test)]
mod tests {
    use base::UnixSeconds;

    use super::*;

    fn row(id: &str, state: State, retry_at: Option<u64>) -> Row {
        Row { retry_at: retry_at.map(UnixSeconds), ..Row::bare(id.to_owned(), state) }
    }

    #[test]
    fn only_a_person_can_change_what_is_hopeless() {
        let check = |state, retry_at, expected| {
            assert_eq!(prospect(&row("ajna-one-v1", state, retry_at)), expected, "{state}");
        };
        check(State::Deployed, None, Prospect::Deployed);
        check(State::Queued, None, Prospect::Open);
        check(State::Fetching, None, Prospect::Open);
        check(State::Failed, Some(9), Prospect::Open);
        check(State::Failed, None, Prospect::Hopeless);
        check(State::Quarantined, Some(9), Prospect::Hopeless);
        for state in [State::Held, State::Stub, State::Missing, State::Available, State::Withdrawn] {
            check(state, None, Prospect::Hopeless);
        }
    }

    #[test]
    fn the_least_hopeful_decides() {
        let check = |states: &[Option<State>], expected| {
            let mut standing = Standing::default();
            for (at, state) in states.iter().enumerate() {
                standing.add(&at.to_string());
                state.map(|it| standing.take(row(&at.to_string(), it, None)).is_some());
            }
            assert_eq!(standing.prospect(), expected, "{states:?}");
        };
        check(&[Some(State::Deployed), Some(State::Deployed)], Prospect::Deployed);
        check(&[Some(State::Deployed), Some(State::Queued)], Prospect::Open);
        check(&[Some(State::Deployed), None], Prospect::Open);
        check(&[Some(State::Queued), Some(State::Held)], Prospect::Hopeless);
    }

    #[test]
    fn what_is_not_waited_for_or_not_new_is_no_news() {
        let mut standing = Standing::default();
        standing.add("ajna-one-v1");
        assert!(standing.take(row("ajna-other-v1", State::Queued, None)).is_none());
        assert!(standing.take(row("ajna-one-v1", State::Queued, None)).is_some());
        assert!(standing.take(row("ajna-one-v1", State::Queued, None)).is_none());
        assert_eq!(standing.open(), ["ajna-one-v1 (queued)"]);
        assert!(standing.take(row("ajna-one-v1", State::Deployed, None)).is_some());
        assert!(standing.open().is_empty());
    }

    #[test]
    fn a_model_that_nobody_asks_for_comes_with_what_to_do() {
        let told = telling(&row("ajna-one-v1", State::Available, None));
        assert!(told.contains("list it under [deploy] models, or run `hallmark sync ajna-one-v1`"), "{told}");
    }
}
