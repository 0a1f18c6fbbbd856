//! Rules such as `energy>500` or `min_votes>5,min_energy>1000`: read if they can be, and answered in three values.
//!
//! No event is refused for its rules' text: what cannot be read is a rule whose answer nobody knows.

use serde::{Deserialize, Serialize};

/// Clauses that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The clauses in order; at least one.
    pub clauses: Vec<Clause>,
}

/// One comparison, as it is written: `>` is strict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is measured.
    pub metric: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub number: u128,
}

/// How a metric is compared with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=` or `==`
    Equal,
    /// `!=`
    Unequal,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// All clauses hold.
    True,
    /// Some clause does not.
    False,
    /// Nobody knows: a metric has no source, or the rules cannot be read.
    Unknown,
}

/// The longer ones first, so that `>=` is not read as `>` and something else.
const COMPARISONS: [(&str, Comparison); 7] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

impl Rules {
    /// The most clauses that are read.
    const CLAUSES_MAX: usize = 64;

    /// Reads rules: clauses with commas between, `name op number`; `None` if any part is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let clauses: Option<Vec<Clause>> =
            text.split(',').take(Self::CLAUSES_MAX + 1).map(Clause::parse).collect();
        clauses.filter(|it| it.len() <= Self::CLAUSES_MAX).map(|clauses| Self { clauses })
    }

    /// Answers by what `metric` knows. One clause that does not hold decides, whatever else is unknown.
    pub fn evaluate(&self, metric: impl Fn(&str) -> Option<u128>) -> Truth {
        let mut answer = Truth::True;
        for clause in &self.clauses {
            match metric(&clause.metric).map(|it| clause.comparison.holds(it, clause.number)) {
                Some(true) => {}
                Some(false) => return Truth::False,
                None => answer = Truth::Unknown,
            }
        }
        answer
    }
}

/// Answers rules as they stand in a tag: none always hold, unreadable ones are unknown.
pub fn evaluate(text: Option<&str>, metric: impl Fn(&str) -> Option<u128>) -> Truth {
    match text.map(str::trim) {
        None | Some("") => Truth::True,
        Some(text) => Rules::parse(text).map_or(Truth::Unknown, |it| it.evaluate(metric)),
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['>', '<', '=', '!'])?;
        let (metric, rest) = text.split_at(at);
        let (sign, comparison) = COMPARISONS.iter().find(|it| rest.starts_with(it.0))?;
        let (metric, digits) = (metric.trim(), rest.get(sign.len()..)?.trim());
        let is_name = metric.starts_with(|it: char| it.is_ascii_lowercase())
            && metric.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
        let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
        let number = is_number.then(|| digits.parse().ok()).flatten()?;
        is_name.then(|| Self { metric: metric.to_owned(), comparison: *comparison, number })
    }
}

impl Comparison {
    fn holds(self, found: u128, number: u128) -> bool {
        match self {
            Self::Above => found > number,
            Self::AtLeast => found >= number,
            Self::Below => found < number,
            Self::AtMost => found <= number,
            Self::Equal => found == number,
            Self::Unequal => found != number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rules_of_the_specification_are_read() {
        let rules = Rules::parse("min_votes>5,min_energy>1000").unwrap();
        let names: Vec<_> = rules.clauses.iter().map(|it| (it.metric.as_str(), it.number)).collect();
        assert_eq!(names, [("min_votes", 5), ("min_energy", 1000)]);
        assert_eq!(
            Rules::parse(" energy >= 340282366920938463463374607431768211455 ").unwrap().clauses.len(),
            1
        );
    }

    #[test]
    fn what_is_not_a_rule_is_not_read() {
        for text in [
            "",
            ",",
            "rule1",
            "energy>",
            ">5",
            "energy>5,",
            "energy>-5",
            "energy>5.5",
            "energy>1e3",
            "Energy>5",
            "energy=>5",
            "energy>5 votes>3",
            "5>energy",
            "energy>340282366920938463463374607431768211456",
            "énergie>5",
        ] {
            assert_eq!(Rules::parse(text), None, "{text}");
        }
        assert_eq!(Rules::parse(&vec!["a>1"; 65].join(",")), None);
    }

    #[test]
    fn answers_have_three_values() {
        let check = |text: &str, expected: Truth| {
            let metric = |name: &str| (name == "energy").then_some(500);
            assert_eq!(evaluate(Some(text), metric), expected, "{text}");
        };
        check("energy>500", Truth::False);
        check("energy>=500", Truth::True);
        check("energy<500", Truth::False);
        check("energy<=500", Truth::True);
        check("energy=500", Truth::True);
        check("energy==500", Truth::True);
        check("energy!=500", Truth::False);
        check("votes>1", Truth::Unknown);
        check("votes>1,energy>1", Truth::Unknown);
        check("votes>1,energy>500", Truth::False);
        check("rule1", Truth::Unknown);
        check(" ", Truth::True);
        assert_eq!(evaluate(None, |_| None), Truth::True);
    }

    proptest! {
        #[test]
        fn no_text_is_misread(text in "[a-z_]{0,3}[<>=! ]{0,3}[0-9]{0,3}[,<>]?.{0,3}") {
            if let Some(rules) = Rules::parse(&text) {
                prop_assert!(!rules.clauses.is_empty());
                for clause in rules.clauses {
                    prop_assert!(text.contains(&clause.metric) && clause.metric.is_ascii());
                }
            }
        }
    }
}
