//! Reads a card back in plain words.

use std::fmt::Write as _;

use crate::{
    item::{Direction, Feature, Item, Query, ResultFields, Start},
    selector::Agg,
    value::Type,
    window::{Unit, Window},
};

/// Returns what a card asks for, one sentence a line.
pub fn explain(item: &Item) -> String {
    let mut lines = vec![title(item), crawl(item), bounds(item)];
    lines.extend(filter(item));
    lines.extend(statements(item));
    lines.push(match item.job.spec.len() {
        1 => "From what it visited it takes one feature:".to_owned(),
        count => format!("From what it visited it takes {count} features:"),
    });
    for spec in &item.job.spec {
        lines.push(match &spec.feature {
            Ok(feature) => format!("  {} = {}", spec.name, describe(feature)),
            Err(flaws) => {
                let flaws: Vec<String> =
                    flaws.iter().map(|it| it.to_string().replace('\n', "\n      ")).collect();
                format!("  {} is wrong: {}", spec.name, flaws.join("; "))
            }
        });
    }
    lines.push(judge(item));
    lines.push(output(item));
    lines.extend(provenance(item));
    lines.join("\n") + "\n"
}

fn title(item: &Item) -> String {
    let alias = item.id.as_ref().map_or(String::new(), |it| format!(" {it}"));
    format!("Card{alias}, job {}, hash {}.", item.job.id, item.hash_text())
}

fn crawl(item: &Item) -> String {
    let start = match &item.start {
        Start::Event(id) => format!("event {id}"),
        Start::Query(query) => format!("all events {}", wanted(query)),
    };
    let follows = match item.control.direction {
        Direction::Up => "its parents, and theirs",
        Direction::Down => "its children, and theirs",
        Direction::Both => "its children and parents, and theirs",
    };
    let end =
        item.end.as_ref().map_or("until nothing is left".to_owned(), |it| format!("until it comes to {it}"));
    format!("It starts at {start} and follows {follows}, {end}.")
}

fn wanted(query: &Query) -> String {
    let kinds = query
        .filter
        .kinds
        .as_ref()
        .map(|it| format!("of kind {}", it.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ")));
    let authors = query
        .filter
        .authors
        .as_ref()
        .map(|it| format!("by {}", it.iter().cloned().collect::<Vec<_>>().join(" or ")));
    let tags = query.tags.iter().map(|(name, value)| format!("whose {name} is {value:?}"));
    let parts: Vec<String> = kinds.into_iter().chain(authors).chain(tags).collect();
    if parts.is_empty() { "there are".to_owned() } else { parts.join(", ") }
}

fn bounds(item: &Item) -> String {
    let nodes = item.job.limit.min(item.control.nodes_max);
    let order = match &item.job.seed {
        Some(seed) => format!(" Neighbours come in an order drawn from the seed {seed:?}."),
        None => String::new(),
    };
    format!("It visits at most {nodes} events and uses at most {} gas.{order}", item.control.gas_max)
}

fn filter(item: &Item) -> Option<String> {
    let filter = item.control.filter.clone()?;
    let query = Query { filter, tags: std::collections::BTreeMap::new() };
    Some(format!("Besides the start it visits only events {}.", wanted(&query)))
}

fn statements(item: &Item) -> Option<String> {
    let filter = item.control.statements.clone()?;
    let query = Query { filter, tags: std::collections::BTreeMap::new() };
    Some(format!("With each it visits what is said about it: events {}.", wanted(&query)))
}

fn describe(feature: &Feature) -> String {
    let mut text = String::new();
    let path = &feature.selector.path;
    match feature.per_event {
        Some(first) => {
            let of_all = format!("the {} over all events of", noun(feature.agg));
            _ = write!(text, "{of_all} the {} of `{path}` in each", noun(first));
        }
        None => _ = write!(text, "the {} of `{path}`", noun(feature.agg)),
    }
    if feature.agg != Agg::Count {
        let kind = match feature.kind {
            Type::Num => "numbers",
            Type::Cat => "categories",
            Type::Bool => "yes or no",
            Type::Text => "texts",
        };
        _ = write!(text, ", taken as {kind}");
    }
    if let Some(edges) = &feature.edges {
        let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
        _ = write!(text, ", in bins between {}", edges.join(", "));
    }
    if let Some(window) = feature.window {
        _ = write!(text, ", of {}", span(window));
    }
    if let Some(default) = &feature.default {
        _ = write!(text, "; {} if there is none", default.canonical());
    }
    text
}

fn noun(agg: Agg) -> &'static str {
    match agg {
        Agg::Sum => "sum",
        Agg::Avg => "mean",
        Agg::Count => "number",
        Agg::Min => "smallest",
        Agg::Max => "largest",
        Agg::First => "earliest",
        Agg::Last => "latest",
        Agg::Hist => "histogram",
    }
}

fn span(window: Window) -> String {
    let unit = match window.unit {
        Unit::Blocks => "places in the ledger",
        Unit::Seconds => "seconds",
        Unit::Minutes => "minutes",
        Unit::Hours => "hours",
        Unit::Days => "days",
        Unit::Weeks => "weeks",
    };
    let end = if window.from_checkpoint { "the checkpoint" } else { "the newest event visited" };
    format!("the last {} {unit} up to {end}", window.length)
}

fn judge(item: &Item) -> String {
    let model = &item.job.model;
    match model.pinned() {
        Some(hash) => format!(
            "Model {} version {} judges them, the document {hash} and no other.",
            model.name(),
            model.version()
        ),
        None => format!(
            "Model {} version {} judges them, the newest document of that name.",
            model.name(),
            model.version()
        ),
    }
}

fn output(item: &Item) -> String {
    let output = &item.output;
    let fields = match &output.fields {
        ResultFields::All => "score, label and action".to_owned(),
        ResultFields::Keep(kept) => kept.iter().cloned().collect::<Vec<_>>().join(", "),
        ResultFields::Rename(names) => {
            let names: Vec<String> = names.iter().map(|(name, key)| format!("{name} as {key}")).collect();
            names.join(", ")
        }
    };
    let signed = if output.signed { ", signed on its own" } else { "" };
    let who = match &output.updaters {
        Some(list) if !list.is_empty() => format!("the card's author, {}", list.join(", ")),
        _ => "the card's author".to_owned(),
    };
    let how = if item.control.deterministic {
        "Everyone gets the same bits, so it is checked by doing it again."
    } else {
        "It is checked by attesters, who may differ a little."
    };
    format!("{} carries {fields}{signed}. It may be written by {who}. {how}", output.update_type)
}

fn provenance(item: &Item) -> Option<String> {
    let provenance = item.provenance.as_ref()?;
    let time = provenance.time.map_or(String::new(), |it| format!(" at {it} seconds since 1970"));
    Some(format!("{} made the card{time}.", provenance.creator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::tests::EXAMPLE;

    #[test]
    fn the_example_of_the_spec_reads_as_prose() {
        insta::assert_snapshot!(explain(&Item::read(EXAMPLE).unwrap()), @r#"
        Card, job J1, hash 0x2c3e3788c5a652ca00b5f5424b0be46cd3abc265033164a3b7bb1c68e9745698.
        It starts at event txStart123 and follows its children and parents, and theirs, until it comes to txStop999.
        It visits at most 200 events and uses at most 200000 gas. Neighbours come in an order drawn from the seed "0xabc".
        From what it visited it takes 3 features:
          wt_sum = the sum of `meta.items.w`, taken as numbers
          price_avg = the mean of `meta.price`, taken as numbers
          tx_cnt = the number of `txid`
        Model linreg version 1 judges them, the newest document of that name.
        UPDATE carries action, cid, score, signed on its own. It may be written by the card's author. Everyone gets the same bits, so it is checked by doing it again.
        addr1 made the card at 1728000000 seconds since 1970.
        "#);
    }

    #[test]
    fn every_part_of_a_card_has_its_words() {
        let card = r#"{"v":"1","id":"gate","q":{"kinds":[30404],"pk":["0xa"],"tag":{"model_id":"m"}},
            "j":{"jid":"J","m":"OP_AI_EVAL","mod":"g:2@0xabababababababababababababababababababababababababababababababab","limit":5,"spec":[
            {"n":"a","sel":"sum(meta.x)","agg":"hist","t":"num","b":[1,"2.5"],"w":"30d@at","d":0},
            {"n":"b","sel":"meta","agg":"sum","t":"num"}]},
            "o":{"ut":"UPDATE","fields":{"score":"s"},"wl":["0xb"]},
            "ctl":{"det":false,"maxN":7,"gas":9,"dir":"up","f":{"kinds":[1,2]},"st":{"kinds":[30302]}}}"#;
        insta::assert_snapshot!(explain(&Item::read(card).unwrap()), @r#"
        Card gate, job J, hash 0x1a99d73c4e9881732209d1756414828585762e6fe4992272fe5aec27c8843d92.
        It starts at all events of kind 30404, by 0xa, whose model_id is "m" and follows its parents, and theirs, until nothing is left.
        It visits at most 5 events and uses at most 9 gas.
        Besides the start it visits only events of kind 1 or 2.
        With each it visits what is said about it: events of kind 30302.
        From what it visited it takes 2 features:
          a = the histogram over all events of the sum of `meta.x` in each, taken as numbers, in bins between 1, 2.5, of the last 30 days up to the checkpoint; 0 if there is none
          b is wrong: E_SEL at /j/spec/1/sel: expected `.` and a name
              meta
                  ^
        Model g version 2 judges them, the document abababababababababababababababababababababababababababababababab and no other.
        UPDATE carries score as s. It may be written by the card's author, 0xb. It is checked by attesters, who may differ a little.
        "#);
    }
}
