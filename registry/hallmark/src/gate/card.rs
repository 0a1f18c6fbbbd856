//! Cards for the gate: where they come from, and how a model's event and those who are trusted are put into them.
//!
//! `$model` as start stands for the model's event, `$trusted` in a list of authors for all who may speak here.

use std::{fs, path::Path};

use ::lineage::{Flaw, Item, Model, json::Json};
use anyhow::Context as _;

use crate::policy::{CardSource, LineageRule};

/// The card that hallmark ships; `schema/gate.md` explains it line by line.
pub(crate) const CARD: &str = include_str!("../../../../schema/gate-card.json");
/// The model that judges by it.
pub(crate) const MODEL: &str = include_str!("../../../../schema/gate-model.json");

/// What stands for those who may speak about models.
const TRUSTED: &str = "$trusted";

/// Reads the card and the model that a policy names; what is in the log is read when it is asked for.
pub(super) fn documents(rule: &LineageRule) -> anyhow::Result<(Option<Json>, Option<Model>)> {
    let model = |name: &str, text: &str| {
        Model::read(text).map_err(|flaws| refusal(&format!("[policy.lineage] model: {name}"), &flaws))
    };
    let named = match &rule.model {
        Some(path) => Some(model(&path.display().to_string(), &read(path)?)?),
        None => None,
    };
    Ok(match &rule.item {
        CardSource::Default => {
            (Some(card("the default card", CARD)?), Some(model("the default model", MODEL)?))
        }
        CardSource::File(path) => (Some(card(&path.display().to_string(), &read(path)?)?), named),
        CardSource::Event(_) => (None, named),
    })
}

/// Puts a model's event and those who are trusted into a card.
pub(super) fn place(card: &Json, event: &str, trusted: &[String]) -> Result<Item, Vec<Flaw>> {
    let mut card = card.clone();
    if let Json::Map(map) = &mut card {
        // A gate asks about the model, wherever the card starts by itself.
        map.remove("q");
        map.insert("s".to_owned(), Json::Text(event.to_owned()));
        if let Some(Json::Map(control)) = map.get_mut("ctl") {
            for filter in ["f", "st"] {
                if let Some(Json::Map(filter)) = control.get_mut(filter)
                    && let Some(Json::List(authors)) = filter.get_mut("pk")
                {
                    expand(authors, trusted);
                }
            }
        }
    }
    let item = Item::of_json(&card)?;
    let flaws = item.flaws();
    if flaws.is_empty() { Ok(item) } else { Err(flaws) }
}

fn expand(authors: &mut Vec<Json>, trusted: &[String]) {
    let before = authors.len();
    authors.retain(|it| it.as_text() != Some(TRUSTED));
    if authors.len() < before {
        authors.extend(trusted.iter().cloned().map(Json::Text));
    }
}

fn card(name: &str, text: &str) -> anyhow::Result<Json> {
    let refuse = |flaws: Vec<Flaw>| refusal(&format!("[policy.lineage] item: {name}"), &flaws);
    Item::admit(text).map_err(refuse)?;
    Json::parse(text).with_context(|| format!("read {name}"))
}

fn refusal(name: &str, flaws: &[Flaw]) -> anyhow::Error {
    let flaws = flaws.iter().map(ToString::to_string).collect::<Vec<_>>();
    anyhow::anyhow!("{name}: {}", flaws.join("; "))
}

fn read(path: &Path) -> anyhow::Result<String> {
    // Reading is bounded by what is read: a card and a model have at most 64 KiB.
    let size = fs::metadata(path).with_context(|| format!("read {}", path.display()))?.len();
    anyhow::ensure!(size <= 1 << 20, "{} is larger than a mebibyte: no card and no model is", path.display());
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_that_ships_holds_and_its_model_knows_every_feature() {
        let item = Item::admit(CARD).unwrap();
        let model = Model::read(MODEL).unwrap();
        model.check_name(&item.job.model).unwrap();
        for spec in &item.job.spec {
            assert!(
                MODEL.contains(&format!("\"{}\"", spec.name)),
                "{} is asked for and not weighed",
                spec.name
            );
        }
        assert_eq!(MODEL.matches("[\"").count(), item.job.spec.len(), "every condition has its feature");
    }

    #[test]
    fn every_line_of_the_shipped_card_is_explained() {
        let page = include_str!("../../../../schema/gate.md");
        for spec in Item::admit(CARD).unwrap().job.spec {
            assert!(page.contains(&format!("| `{}` |", spec.name)), "{}", spec.name);
        }
        let keys = [
            "v", "s", "j.jid", "j.m", "j.mod", "j.limit", "j.spec", "o", "ctl.maxN", "ctl.gas", "ctl.dir",
            "ctl.f", "ctl.st",
        ];
        for key in keys {
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn a_model_and_those_who_are_trusted_take_their_places() {
        let card = Json::parse(CARD).unwrap();
        let item = place(&card, "e1", &["aa".to_owned(), "bb".to_owned()]).unwrap();
        assert!(item.canonical().contains(r#""f":{"pk":["aa","bb"]}"#), "{}", item.canonical());
        assert!(item.canonical().contains(r#""s":"e1""#));
        let elsewhere = CARD.replace(r#""s": "$model""#, r#""q": { "kinds": [1] }"#);
        let item = place(&Json::parse(&elsewhere).unwrap(), "e1", &[]).unwrap();
        assert!(!item.canonical().contains(r#""q""#));
        // Names of one's own stay.
        let own = CARD.replace("\"$trusted\"", "\"cc\"");
        assert!(
            place(&Json::parse(&own).unwrap(), "e1", &["aa".to_owned()])
                .unwrap()
                .canonical()
                .contains(r#""pk":["cc"]"#)
        );
    }
}
