//! What is wrong with a card, a model or an evaluation: a code that programs react to, the place, and a sentence.

use std::fmt;

use serde::Serialize;

/// What kind of wrong it is. The text of a code is part of the protocol: two evaluators must give the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Code {
    /// The card is not the JSON that a card is: mend its text.
    EItem,
    /// The card's engine is not `OP_AI_EVAL`.
    EEngine,
    /// A limit is absent, not a whole number, or below 1.
    ELimits,
    /// No visible event to start from.
    EStart,
    /// A selector does not parse.
    ESel,
    /// A feature has no aggregation, or one that does not exist.
    EAgg,
    /// The aggregation does not go with the type.
    EType,
    /// A window does not parse.
    EWindow,
    /// A default is needed and is not of the feature's type.
    EDefault,
    /// A histogram has too many bins, or edges that do not ascend.
    EHist,
    /// A sum or a score left the range of numbers.
    EOverflow,
    /// The work costs more than the card allows.
    EGas,
    /// The model is not one that can be run.
    EModel,
    /// The model asks for a feature that the card does not have, or that is no number.
    EFeature,
    /// A feature has no value and the model none to put in its place.
    EMissing,
    /// An UPDATE says something else than the evaluation gives.
    EMismatch,
    /// The author of an UPDATE may not write it.
    EUpdater,
}

impl Code {
    /// Returns the text that everyone writes, such as `E_GAS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EItem => "E_ITEM",
            Self::EEngine => "E_ENGINE",
            Self::ELimits => "E_LIMITS",
            Self::EStart => "E_START",
            Self::ESel => "E_SEL",
            Self::EAgg => "E_AGG",
            Self::EType => "E_TYPE",
            Self::EWindow => "E_WINDOW",
            Self::EDefault => "E_DEFAULT",
            Self::EHist => "E_HIST",
            Self::EOverflow => "E_OVERFLOW",
            Self::EGas => "E_GAS",
            Self::EModel => "E_MODEL",
            Self::EFeature => "E_FEATURE",
            Self::EMissing => "E_MISSING",
            Self::EMismatch => "E_MISMATCH",
            Self::EUpdater => "E_UPDATER",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code} at {}: {text}", if .place.is_empty() { "the whole document" } else { .place })]
pub struct Flaw {
    /// What kind of wrong it is.
    pub code: Code,
    /// A JSON pointer into the card, the model or the UPDATE; empty for the whole.
    pub place: String,
    /// What is wrong and what to do, for people.
    pub text: String,
}

impl Flaw {
    /// Says what is wrong at a place.
    pub fn new(code: Code, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code, place: place.into(), text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_the_same_for_people_and_for_programs() {
        for code in [Code::EItem, Code::ESel, Code::EUpdater] {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{code}\""));
        }
        let flaw = Flaw::new(Code::EGas, "/ctl/gas", "too dear");
        assert_eq!(flaw.to_string(), "E_GAS at /ctl/gas: too dear");
    }
}
