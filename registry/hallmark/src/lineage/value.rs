//! `hallmark lineage value`: what stands of a card in the daemon's log.

use clap::Args;

use super::daemon::{Daemon, part};
use crate::{Outcome, event::Whom, http::CardView, out};

/// How many attestations are listed: more are for programs.
const LISTED_MAX: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The id of the card's event
    card: String,
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let path = format!("/v1/lineage/cards/{}", part(&arguments.card));
    let card: CardView = Daemon::of(&arguments.whom)?.get(&path)?;
    let text = if arguments.json { serde_json::to_string_pretty(&card)? + "\n" } else { told(&card) };
    out::print(&text)?;
    Ok(if card.value.is_some() { Outcome::Holds } else { Outcome::DoesNotHold })
}

fn told(card: &CardView) -> String {
    let name = card.name.as_ref().map_or_else(String::new, |it| format!(" {it:?}"));
    let mut lines =
        vec![format!("card {}{name} by {}: {}, judged by {}", card.event, card.author, card.jid, card.model)];
    match &card.value {
        None => lines.push(
            "no value yet: nobody who may change it has published an UPDATE (`hallmark lineage eval` makes one)"
                .to_owned(),
        ),
        Some(value) => {
            lines.push(format!("value {}", value.result.get()));
            lines.push(format!("  at {} of {}", value.seq, value.root));
            lines.push(format!("  by {}, event {}", value.author, value.event));
        }
    }
    if card.attestation_count > 0 {
        lines.push(format!(
            "attested {} by others, who found what the log gives",
            times(card.attestation_count)
        ));
        let listed = card.attestations.iter().take(LISTED_MAX);
        lines.extend(listed.map(|it| format!("  at {} by {}, event {}", it.seq, it.author, it.event)));
    }
    lines.join("\n") + "\n"
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
