//! `hallmark propose`: a trained model on its way into an index that others keep.
//!
//! - Safe to repeat: what stands on the branch, in the pull request and in the event log already is left as it is.
//! - Nothing is pushed that does not hold. What could not be checked is said to the reviewer.
//! - Each step that cannot be taken back comes after all that can fail before it; whatever fails after that says what
//!   is done, and the same command finishes it.

mod arguments;
pub(crate) mod checks;
mod events;
pub(crate) mod nix;
mod offer;
mod report;
mod route;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use catalog::{
    Contract, Listed,
    git::{Change, GitError, PushError, Standing},
};
use proposal::{
    Branch, Decision, Request, State, Text, decide,
    review::{self, Check, Review, Verdict},
};

pub(crate) use self::{
    arguments::Arguments,
    route::{ForgeFlags, forge_of_clone},
};
use self::{
    offer::Offer,
    report::{Done, Ending, RequestEnd},
    route::{Forge, Route},
};
use crate::Outcome;

/// How often to begin anew when somebody else pushes to the branch at the same moment.
const ROUNDS_MAX: usize = 4;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let contract = arguments.facts.contract()?;
    let route = Route::open(arguments)?;
    let ending = propose(arguments, &route, &contract)?;
    report::print(&route, &ending, arguments.json)
}

fn propose(arguments: &Arguments, route: &Route, contract: &Contract) -> anyhow::Result<Ending> {
    let branch = review::branch(&arguments.facts.id);
    let mut offer = Offer::new(arguments, contract);
    for round in 1..=ROUNDS_MAX {
        let standing = route.bench.look(&branch)?;
        let base = route.bench.read(&standing.base_branch, standing.base)?;
        if let Some(incomplete) = offer.make(&base)? {
            return Ok(incomplete);
        }
        let newest = match &route.forge {
            Some(forge) => forge.newest(&branch).context("look for the pull request; nothing was pushed")?,
            None => None,
        };
        let seen = seen(route, &standing, &branch, offer.text())?;
        let is_in_base = offer.text().as_bytes() == base;
        match decide(is_in_base, seen, newest.as_ref(), arguments.again) {
            Decision::Nothing => {
                return Ok(Ending::Nothing { branch: standing.base_branch, merged: merged(newest) });
            }
            Decision::Refuse(why) => return Ok(Ending::Refused { why, standing, newest }),
            decision => {
                let listed = match offer.hold(route, arguments, &standing)? {
                    Ok(listed) => listed,
                    Err(ending) => return Ok(ending),
                };
                let seen = standing.proposed.as_ref().map(|it| it.commit);
                let pushed = match (decision, seen) {
                    (Decision::Keep, Some(commit)) => Ok((commit, false)),
                    // Where others push all the time, an index that is a moment old has to do in the end.
                    _ => push(route, &standing, &branch, &offer, &listed, round < ROUNDS_MAX)
                        .map(|it| (it, true)),
                };
                match pushed {
                    Ok((commit, is_new)) => {
                        let checks = offer.checks().to_vec();
                        let done = Done { is_new, checks, ..Done::of(&listed, commit) };
                        return finish(arguments, route, &standing, newest, &offer, &listed, done);
                    }
                    Err(error) if matches!(error.downcast_ref(), Some(PushError::Moved { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    anyhow::bail!(
        "{branch} was pushed to by others {ROUNDS_MAX} times in a row: run it again when they are done"
    )
}

fn merged(newest: Option<Request>) -> Option<Request> {
    newest.filter(|it| it.state == State::Merged)
}

/// Says what stands on the proposal's branch, seen from what is to be proposed now.
fn seen(route: &Route, standing: &Standing, branch: &str, text: &str) -> anyhow::Result<Branch> {
    let Some(proposed) = &standing.proposed else { return Ok(Branch::Missing) };
    let there = match route.bench.read(branch, proposed.commit) {
        Ok(there) => Some(there),
        // A branch without an index is somebody else's work.
        Err(GitError::NoFile { .. } | GitError::NotAFile { .. } | GitError::TooLarge { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(match there {
        Some(there) if there == text.as_bytes() => Branch::Same,
        _ if proposed.is_ours => Branch::Ours,
        _ => Branch::Theirs,
    })
}

fn push(
    route: &Route,
    standing: &Standing,
    branch: &str,
    offer: &Offer<'_>,
    listed: &Listed,
    must_be_newest: bool,
) -> anyhow::Result<base::CommitId> {
    let author = route.author()?;
    let message = format!("{}\n\n{}", review::title(&listed.entry.id), message(listed));
    let commit = route.bench.commit(&Change {
        base: standing.base,
        bytes: offer.text().as_bytes(),
        message: &message,
        author: &author,
        at: SystemClock.now(),
        key: route.key.as_ref(),
    })?;
    let seen = standing.proposed.as_ref().map(|it| it.commit);
    let base = must_be_newest.then_some((standing.base_branch.as_str(), standing.base));
    route.bench.push(branch, commit, seen, base)?;
    Ok(commit)
}

/// Says in a commit what somebody looks for who has nothing but the log.
fn message(listed: &Listed) -> String {
    let (artifact, made) = (&listed.entry.artifact, &listed.entry.provenance);
    let plain =
        |text: &str| text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
    format!(
        "Version {}, {} of {} bytes, run {}.\nsha256 {}",
        listed.entry.version,
        plain(artifact.filename.as_str()),
        artifact.size_bytes.get(),
        plain(made.run_id.as_str()),
        artifact.sha256
    )
}

/// Sees to the pull request and the events. The branch is as it has to be.
fn finish(
    arguments: &Arguments,
    route: &Route,
    standing: &Standing,
    newest: Option<Request>,
    offer: &Offer<'_>,
    listed: &Listed,
    mut done: Done,
) -> anyhow::Result<Ending> {
    let base = offer.base_index();
    let entry = &listed.entry;
    let previous = base.as_ref().and_then(|it| review::previous(it, &entry.id));
    let vote = route.event_key.as_ref().map(|key| events::vote(key, listed));
    let (source, checks) = (offer.source(), offer.checks());
    let body = review::describe(&Review { entry, source, previous, checks, vote: vote.as_ref() });
    let text = Text { title: review::title(&entry.id), body };
    done.compare = route.compare_link(&standing.base_branch, &done.branch);
    if let Some(forge) = &route.forge {
        let open = newest.filter(|it| it.state == State::Open);
        let seen_to = request(forge, &done.branch, &standing.base_branch, open, &text);
        done.request = Some(seen_to.with_context(|| {
            format!(
                "{} is pushed at {}, and its pull request is not as it should be: run the same command again to go on there",
                done.branch, done.commit
            )
        })?);
    }
    if let Some(key) = &route.event_key {
        let link = done.request.as_ref().map(|it| it.request.link.as_str());
        let told = events::tell(key, &arguments.whom(&route.config), listed, link);
        done.events = told.context(
            "the proposal is made, and its events are not in the log: run the same command again to go on there",
        )?;
    }
    Ok(Ending::Done(Box::new(done)))
}

/// Opens the pull request, or brings the one that is open up to date.
fn request(
    forge: &Forge,
    branch: &str,
    base: &str,
    open: Option<Request>,
    text: &Text,
) -> anyhow::Result<RequestEnd> {
    let open = match open {
        Some(open) => open,
        None => match forge.open(branch, base, text) {
            Ok(request) => return Ok(RequestEnd { request, change: "opened" }),
            // Somebody else may have been faster.
            Err(error @ proposal::ClientError::Refused { .. }) => {
                let newest = forge.newest(branch)?.filter(|it| it.state == State::Open);
                newest.ok_or(error)?
            }
            Err(error) => return Err(error.into()),
        },
    };
    if open.text.is_same(text) {
        return Ok(RequestEnd { request: open, change: "as before" });
    }
    Ok(RequestEnd { request: forge.update(open.number, text)?, change: "updated" })
}

/// Says whether all checks hold that were made.
fn all_hold(checks: &[Check]) -> bool {
    checks.iter().all(|it| it.verdict != Verdict::Failed)
}
