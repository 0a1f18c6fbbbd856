//! What an event claims to be, in the kinds that lineage has: a card, a model, an UPDATE, a phase of a heavy result.
//!
//! - 30406 with `compute_type` `lineage` is a card; 30407 with the name of an engine as `algo_type` is a model. Other
//!   computations and algorithms are none of our business, and are not looked into.
//! - 30408 is an UPDATE if its content is an object with `item` and one of the hashes, or if it names a card in a tag
//!   `item_id`; with `phase` it belongs to the second tier. All others are validations in words of their own, such as
//!   a daemon's `verified`.

use crate::{
    flaw::{Code, Flaw},
    item::{Item, ModelName},
    json::Json,
    model::Model,
    tiers::Phase,
    update::Update,
};

/// A computation: a card if its type says so.
pub const CARD: u32 = 30406;
/// An algorithm: a model if its type is an engine.
pub const MODEL: u32 = 30407;
/// A validation: perhaps an UPDATE.
pub const VALIDATION: u32 = 30408;

/// The value of `compute_type` by which a computation is a card.
const LINEAGE: &str = "lineage";
/// The values of `algo_type` by which an algorithm is a model.
const ENGINES: [&str; 6] = ["linreg", "tree", "gbt", "rules", "mlp", "ext"];
/// The longest content that can be any of these.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What an event claims to be.
#[derive(Clone, Debug)]
pub enum Claim {
    /// A card.
    Card(Box<Item>),
    /// A model, under the name and version of its tags or of its document.
    Model(Box<Model>, ModelName),
    /// An UPDATE.
    Update(Box<Update>),
    /// A phase of a heavy result.
    Phase(Phase),
    /// Nothing that lineage has rules for.
    Other,
}

impl Claim {
    /// Reads an event. What claims to be one of ours and is not is refused with all its flaws.
    pub fn read(kind: u32, tags: &[Vec<String>], content: &str) -> Result<Self, Vec<Flaw>> {
        let tag = |name: &str| tags.iter().find(|it| it.first().is_some_and(|it| it == name))?.get(1);
        let says = |name: &str, value: &str| tag(name).is_some_and(|it| it == value);
        match kind {
            CARD if says("compute_type", LINEAGE) => Item::admit(content).map(|it| Self::Card(Box::new(it))),
            MODEL if tag("algo_type").is_some_and(|it| ENGINES.contains(&it.as_str())) => {
                let model = Model::read(content)?;
                let name = model_name(&model, tag("name"), tag("version"))?;
                if !says("algo_type", model.engine()) {
                    let text = format!("the tag algo_type names another engine than {}", model.engine());
                    return Err(vec![Flaw::new(Code::EModel, "/eng", text)]);
                }
                Ok(Self::Model(Box::new(model), name))
            }
            VALIDATION => validation(content, tag("item_id").is_some()),
            _ => Ok(Self::Other),
        }
    }
}

fn model_name(
    model: &Model,
    name: Option<&String>,
    version: Option<&String>,
) -> Result<ModelName, Vec<Flaw>> {
    let refuse = |text: String| vec![Flaw::new(Code::EModel, "/id", text)];
    let tagged = match (name, version) {
        (Some(name), Some(version)) => {
            let parsed = ModelName::parse(&format!("{name}:{version}"));
            Some(parsed.map_err(|_| refuse("the tags name and version make no model's name".to_owned()))?)
        }
        _ => None,
    };
    match (tagged, &model.name) {
        (Some(tagged), Some(own)) if !tagged.is_same(own) => {
            Err(refuse(format!("the tags name the model {tagged}, its document {own}")))
        }
        (Some(tagged), _) => Ok(tagged),
        (None, Some(own)) => Ok(own.clone()),
        (None, None) => Err(refuse("a model needs a name: tags name and version, or `id`".to_owned())),
    }
}

fn validation(content: &str, names_a_card: bool) -> Result<Claim, Vec<Flaw>> {
    if content.len() > TEXT_BYTES_MAX {
        let text = format!("an UPDATE has at most {TEXT_BYTES_MAX} bytes");
        return if names_a_card { Err(vec![Flaw::new(Code::EMismatch, "", text)]) } else { Ok(Claim::Other) };
    }
    let json = Json::parse(content).ok();
    let has = |key: &str| json.as_ref().is_some_and(|it| it.get(key).is_some());
    let hashes = ["feature_hash", "feat_hash", "item_hash", "visit_hash"];
    if has("phase") && (has("item") || has("commit") || has("reveal")) {
        let phase = Phase::read(content)?;
        return Ok(phase.map_or(Claim::Other, Claim::Phase));
    }
    if names_a_card || (has("item") && hashes.iter().any(|it| has(it))) {
        return Update::read(content).map(|it| Claim::Update(Box::new(it)));
    }
    Ok(Claim::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::tests::EXAMPLE;

    const RULES: &str = r#"{"id":"gate:1","eng":"rules","in":[],"rules":[],"else":{"score":"0"}}"#;

    fn read(kind: u32, tags: &[(&str, &str)], content: &str) -> String {
        let tags: Vec<_> = tags.iter().map(|it| vec![it.0.to_owned(), it.1.to_owned()]).collect();
        match Claim::read(kind, &tags, content) {
            Ok(Claim::Card(_)) => "card".to_owned(),
            Ok(Claim::Model(_, name)) => format!("model {name}"),
            Ok(Claim::Update(_)) => "update".to_owned(),
            Ok(Claim::Phase(_)) => "phase".to_owned(),
            Ok(Claim::Other) => "other".to_owned(),
            Err(flaws) => format!("{} {}", flaws[0].code, flaws[0].place),
        }
    }

    #[test]
    fn a_computation_is_a_card_if_its_type_says_so() {
        let lineage = [("op", "compute"), ("compute_type", "lineage")];
        assert_eq!(read(CARD, &lineage, EXAMPLE), "card");
        assert_eq!(
            read(CARD, &lineage, &EXAMPLE.replace("\"maxN\":200", "\"maxN\":0")),
            "E_LIMITS /ctl/maxN"
        );
        assert_eq!(read(CARD, &lineage, "a training run"), "E_ITEM ");
        assert_eq!(read(CARD, &[("compute_type", "training")], "a training run"), "other");
        assert_eq!(read(30404, &lineage, "x"), "other");
    }

    #[test]
    fn an_algorithm_is_a_model_if_its_type_is_an_engine() {
        let tags = [("algo_type", "rules"), ("name", "gate"), ("version", "v1")];
        assert_eq!(read(MODEL, &tags, RULES), "model gate:v1");
        assert_eq!(read(MODEL, &tags[..1], RULES), "model gate:1");
        assert_eq!(read(MODEL, &[tags[0], tags[1], ("version", "2")], RULES), "E_MODEL /id");
        assert_eq!(read(MODEL, &[tags[0], ("name", "a b"), tags[2]], RULES), "E_MODEL /id");
        assert_eq!(read(MODEL, &tags[..1], &RULES.replace("\"id\":\"gate:1\",", "")), "E_MODEL /id");
        assert_eq!(read(MODEL, &[("algo_type", "tree")], RULES), "E_MODEL /eng");
        assert_eq!(read(MODEL, &tags, "{}"), "E_MODEL /eng");
        assert_eq!(read(MODEL, &[("algo_type", "sorting")], "quickly"), "other");
    }

    #[test]
    fn a_validation_is_an_update_only_if_it_says_what_one_says() {
        let hash = format!("0x{}", "ab".repeat(32));
        let update = format!(
            r#"{{"at":{{"root":"0x","seq":1}},"feature_hash":"{hash}","gas":1,"item":"a","item_hash":"{hash}","jid":"J","miss":0,"model":"m:1","model_hash":"{hash}","n":1,"result":{{}},"stop":"e","visit_hash":"{hash}"}}"#
        );
        assert_eq!(read(VALIDATION, &[("valid_result", "verified")], ""), "other");
        assert_eq!(read(VALIDATION, &[], r#"{"item":"a"}"#), "other");
        assert_eq!(read(VALIDATION, &[], &update), "update");
        assert_eq!(read(VALIDATION, &[], &update.replace("\"gas\":1,", "")), "E_MISMATCH /gas");
        assert_eq!(read(VALIDATION, &[("item_id", "a")], "it is good"), "E_MISMATCH ");
        assert_eq!(read(VALIDATION, &[("item_id", "a")], r#"{"item":"a"}"#), "E_MISMATCH /feature_hash");
        let commit = format!(r#"{{"phase":"commit","item":"i","commit":"{hash}"}}"#);
        assert_eq!(read(VALIDATION, &[], &commit), "phase");
        assert_eq!(read(VALIDATION, &[], r#"{"phase":"commit","item":"i"}"#), "E_MISMATCH /commit");
        assert_eq!(read(VALIDATION, &[], r#"{"phase":"two"}"#), "other");
    }
}
