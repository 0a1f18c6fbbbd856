//! Tokens (30320 to 30323): defined, moved, lent, and minted by rules. They live outside of any subspace.

use std::collections::BTreeMap;

use super::view::view;
use crate::event::{Kind, Tags};

view! {
    /// A token is defined: its issuer's address and the symbol are its name (30320).
    TokenIssue = Kind::TOKEN_ISSUE;
    /// The symbol.
    symbol: text,
    /// Its name for people.
    name: text,
    /// How many decimals it has.
    decimals: text,
}

view! {
    /// A token moves (30321).
    TokenTransfer = Kind::TOKEN_TRANSFER;
    /// From whom.
    from: text,
    /// To whom.
    to: text,
    /// Which token.
    symbol: text,
    /// Whose token, where several have the symbol.
    issuer: text,
    /// How much, in the smallest unit.
    amount: text,
}

view! {
    /// Somebody may spend another's token (30322).
    TokenApprove = Kind::TOKEN_APPROVE;
    /// Who may.
    spender: text,
    /// Which token.
    symbol: text,
    /// Whose token, where several have the symbol.
    issuer: text,
    /// How much at most, in the smallest unit.
    amount: text,
}

view! {
    /// Rules by which a token is minted (30323): one in the tags themselves, or one for each `rule` tag.
    TokenMintRules = Kind::TOKEN_MINT;
    /// Which token.
    symbol: text,
    /// The kind of event that counts.
    mint_if: text,
    /// The tag that such an event must have.
    tag_key: text,
    /// The value that the tag must have; `any` for any.
    tag_value: text,
    /// How many such events it takes.
    threshold: text,
    /// How much is minted then, in the smallest unit.
    mint_amount: text,
    /// Whether it is minted again at every multiple.
    repeat: text,
}

/// One rule by which a token is minted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRule {
    /// Which token.
    pub symbol: String,
    /// The kind of event that counts.
    pub mint_if: Kind,
    /// The tag that such an event must have, and its value; `None` for any.
    pub tag: Option<(String, Option<String>)>,
    /// How many such events of one author it takes.
    pub threshold: u64,
    /// How much is minted then: digits, in the smallest unit.
    pub mint_amount: String,
    /// Whether it is minted again at every multiple.
    pub repeats: bool,
}

impl TokenMintRules {
    /// Reads all rules of an event; what is wrong with one stands in its place.
    pub fn rules(tags: &Tags) -> Vec<Result<TokenRule, String>> {
        let rows = tags.named("rule").map(|tag| {
            let pairs = tag.values().map(|it| it.split_once('=').unwrap_or((it, "")));
            pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
        });
        let rows: Vec<BTreeMap<&str, &str>> = rows.collect();
        if !rows.is_empty() {
            return rows.iter().map(rule).collect();
        }
        let names = ["symbol", "mint_if", "tag_key", "tag_value", "threshold", "mint_amount", "repeat"];
        let own = names.iter().filter_map(|it| tags.first(it).map(|value| (*it, value)));
        vec![rule(&own.collect())]
    }
}

fn rule(fields: &BTreeMap<&str, &str>) -> Result<TokenRule, String> {
    let field = |name: &str| fields.get(name).copied().ok_or(format!("rule: `{name}` is missing"));
    let whole = |name: &str| -> Result<u64, String> {
        let text = field(name)?;
        let number = text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        number.ok_or(format!("rule: {name}={text} is not a whole number"))
    };
    let kind = u16::try_from(whole("mint_if")?).map_err(|_| "rule: mint_if is no kind".to_owned())?;
    let threshold = whole("threshold")?;
    if threshold == 0 {
        return Err("rule: threshold is at least 1".to_owned());
    }
    let amount = field("mint_amount")?;
    if amount.is_empty() || !amount.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!("rule: mint_amount={amount} is not a whole number"));
    }
    let value = fields.get("tag_value").copied().filter(|it| *it != "any");
    let tag = fields.get("tag_key").map(|key| ((*key).to_owned(), value.map(str::to_owned)));
    Ok(TokenRule {
        symbol: field("symbol")?.to_owned(),
        mint_if: Kind(kind),
        tag,
        threshold,
        mint_amount: amount.to_owned(),
        repeats: fields.get("repeat").is_some_and(|it| *it == "true"),
    })
}
