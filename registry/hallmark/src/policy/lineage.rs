//! The rule `lineage`: what a model rests on has to be good enough, by a card that anybody can evaluate.
//!
//! - The daemon evaluates the card over its log; the rule sees what came out, and decides.
//! - What keeps a model back is told as the feature that falls short, and by how much: `approvals 1 < 2`.

use std::path::PathBuf;

use ::lineage::{Judgement, Num};
use base::Address;
use ledger::{Author, EventId};
use serde::{Deserialize, Serialize};

/// What a model is told that nobody can judge yet.
const BEING_READ: &str = "the lineage graph is still being read";

/// `[policy.lineage]`: which card a model has to pass, and what becomes of one that does not.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineageRule {
    /// The card: `default`, a file, or the id of a card's event in the log. It is evaluated from the model's own event
    /// on, wherever it starts itself.
    pub(crate) item: CardSource,
    /// The model that judges, as a file. Without it, the newest of the name that the card asks for, by somebody trusted.
    pub(crate) model: Option<PathBuf>,
    /// Who may speak about models here besides this host itself: the addresses that `$trusted` in a card stands for.
    #[serde(default)]
    pub(crate) trusted: Vec<TrustedAddress>,
    /// The least score.
    pub(crate) min_score: Option<LeastScore>,
    /// The label that the model has to give.
    pub(crate) require_label: Option<String>,
    /// What becomes of a model that does not pass.
    #[serde(default)]
    pub(crate) on_fail: OnFail,
}

/// Where a card is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(crate) enum CardSource {
    /// The one that hallmark ships.
    #[default]
    Default,
    File(PathBuf),
    Event(EventId),
}

/// An address on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TrustedAddress(pub(crate) Address);

/// A least score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct LeastScore(pub(crate) Num);

/// What becomes of a model that does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFail {
    /// Nothing of it is shown.
    #[default]
    Hold,
    /// What is deployed of it stays, an earlier version or this one; nothing new is shown.
    KeepPrevious,
}

/// What is known of what a model rests on.
#[derive(Clone, Debug, Default)]
pub(crate) enum Descent {
    /// It is not asked about yet: the bytes are not here.
    #[default]
    NotYet,
    /// The log is still being read after a start: nobody can say it yet, and that passes.
    BeingRead,
    /// Nobody could look, and why.
    Unknown(String),
    /// What the card came to.
    Judged(Judged),
}

/// What a card came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    /// By how much features fall short of what would have been enough.
    pub(crate) shortfalls: Vec<String>,
    /// Why the crawl ended.
    pub(crate) stop: &'static str,
    /// How many events were visited.
    pub(crate) visited: usize,
}

impl LineageRule {
    /// Says what makes no sense, if anything does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let asks = self.min_score.is_some() || self.require_label.is_some();
        match self.item {
            CardSource::Default if self.model.is_some() => Err(
                "[policy.lineage] model: the default card has its own model; name a card of your own as item"
                    .to_owned(),
            ),
            CardSource::File(_) | CardSource::Event(_) if !asks => {
                Err("[policy.lineage] asks nothing of its card: set min_score, require_label or both"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Says why a model may not run, if what it rests on is not good enough.
    pub(crate) fn objection(&self, descent: &Descent) -> Option<String> {
        judge(self, descent)
    }

    /// Says whether a judgement is good enough.
    pub(crate) fn is_enough(&self, judgement: &Judgement) -> bool {
        let scores = self.min_score.is_none_or(|it| judgement.score >= it.0);
        let label = self.label();
        scores && label.is_none_or(|it| judgement.label.as_deref() == Some(it))
    }

    /// Returns the label that is asked for. The default card alone asks for one by itself.
    pub(crate) fn label(&self) -> Option<&str> {
        let own = (self.item == CardSource::Default && self.min_score.is_none()).then_some("trusted");
        self.require_label.as_deref().or(own)
    }
}

/// Says why a model may not run, if what it rests on is not good enough.
fn judge(rule: &LineageRule, descent: &Descent) -> Option<String> {
    match descent {
        Descent::NotYet => None,
        Descent::BeingRead => Some(BEING_READ.to_owned()),
        Descent::Unknown(why) => Some(why.clone()),
        Descent::Judged(judged) if rule.is_enough(&judged.judgement) => None,
        Descent::Judged(judged) => Some(judged.text(rule)),
    }
}

impl Judged {
    fn text(&self, rule: &LineageRule) -> String {
        let mut parts = self.shortfalls.clone();
        if parts.is_empty() {
            let Judgement { score, label, .. } = &self.judgement;
            let least = rule.min_score.filter(|it| *score < it.0);
            parts.extend(least.map(|it| format!("score {score} < {}", it.0)));
            let wanted = rule.label().filter(|it| label.as_deref() != Some(it));
            let found = label.as_deref().unwrap_or("none");
            parts.extend(wanted.map(|it| format!("label {found}, not {it}")));
        }
        format!("{}, stop={}, n={}", parts.join(", "), self.stop, self.visited)
    }
}

impl From<String> for CardSource {
    fn from(text: String) -> Self {
        match EventId::parse(&text) {
            Ok(id) => Self::Event(id),
            Err(_) if text == "default" => Self::Default,
            Err(_) => Self::File(text.into()),
        }
    }
}

impl TryFrom<String> for TrustedAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let author = Author::parse(digits);
        author.map(|it| Self(it.address())).map_err(|error| format!("\"{text}\" is no address: {error}"))
    }
}

impl TryFrom<f64> for LeastScore {
    type Error = String;

    fn try_from(number: f64) -> Result<Self, String> {
        let parsed = Num::of_double(number);
        parsed.map(Self).ok_or_else(|| format!("{number} is no score: scores lie between -10^9 and 10^9"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> LineageRule {
        toml::from_str(text).unwrap()
    }

    fn judged(score: &str, label: Option<&str>, shortfalls: &[&str]) -> Descent {
        let score = Num::parse(score).unwrap();
        let judgement = Judgement { score, label: label.map(str::to_owned), action: None };
        let shortfalls = shortfalls.iter().map(|it| (*it).to_owned()).collect();
        Descent::Judged(Judged { judgement, shortfalls, stop: "e", visited: 14 })
    }

    fn check(rule_text: &str, descent: &Descent, expected: Option<&str>) {
        assert_eq!(judge(&rule(rule_text), descent).as_deref(), expected, "{rule_text}");
    }

    #[test]
    fn what_falls_short_is_told_with_its_measure() {
        let default = r#"item = "default""#;
        let short = judged("0", Some("unproven"), &["approvals 1 < 2"]);
        check(default, &short, Some("approvals 1 < 2, stop=e, n=14"));
        check(default, &judged("1", Some("trusted"), &[]), None);
        check(default, &judged("1", None, &[]), Some("label none, not trusted, stop=e, n=14"));
        let own = "item = \"card.json\"\nmin_score = 0.7\nrequire_label = \"ok\"";
        check(own, &judged("0.7", Some("ok"), &[]), None);
        check(
            own,
            &judged("0.65", Some("bad"), &[]),
            Some("score 0.65 < 0.7, label bad, not ok, stop=e, n=14"),
        );
        check("item = \"card.json\"\nmin_score = 1", &judged("1", None, &[]), None);
    }

    #[test]
    fn what_nobody_could_look_at_is_held_and_what_is_not_here_yet_is_not_asked_about() {
        let why = Descent::Unknown("no daemon looks after the log".to_owned());
        check(r#"item = "default""#, &why, Some("no daemon looks after the log"));
        check(r#"item = "default""#, &Descent::NotYet, None);
    }

    #[test]
    fn a_card_is_the_default_a_file_or_an_event() {
        let item = |text: &str| rule(&format!("item = \"{text}\"")).item;
        assert_eq!(item("default"), CardSource::Default);
        assert_eq!(item("/etc/card.json"), CardSource::File("/etc/card.json".into()));
        assert!(matches!(item(&"ab".repeat(32)), CardSource::Event(_)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong = |text: &str, part: &str| {
            let error = toml::from_str::<LineageRule>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        wrong("min_score = 1", "missing field `item`");
        wrong("item = \"default\"\non_fail = \"explode\"", "unknown variant");
        wrong("item = \"default\"\nmin_score = inf", "is no score");
        wrong("item = \"default\"\ntrusted = [\"0x12\"]", "is no address");
        wrong("item = \"default\"\nminscore = 1", "unknown field");
        assert!(rule("item = \"card.json\"").check().unwrap_err().contains("set min_score"));
        assert!(
            rule("item = \"default\"\nmodel = \"m.json\"").check().unwrap_err().contains("its own model")
        );
        assert_eq!(rule("item = \"default\"").check(), Ok(()));
    }
}
