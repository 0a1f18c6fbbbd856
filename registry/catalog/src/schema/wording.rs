//! The validator's findings in the words that people search for: those of ajv, which the documentation quotes.

use base::{CommitId, Sha256};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Broken},
    paths::LocationSegment,
};
use serde_json::Value;

use crate::{
    document::{Kind, Node},
    flaw::Flaw,
};

/// Turns one finding into flaws: one each for every property that should not be there.
pub(super) fn flaws(schema: &Value, seen_from: Node<'_>, error: &ValidationError<'_>) -> Vec<Flaw> {
    let node = follow(seen_from, error.instance_path().segments()).unwrap_or(seen_from);
    let rule = format!("schema/{}", error.kind().keyword());
    if let Broken::AdditionalProperties { unexpected } = error.kind() {
        let known = known_properties(schema, error);
        return unexpected.iter().map(|name| unexpected_property(node, &rule, name, &known)).collect();
    }
    let message = format!("{} {}", data_path(node), requirement(error));
    let mut flaw = Flaw::error(rule, node, message);
    if let Broken::Required { .. } = error.kind() {
        // The key, or the first brace, says where the property belongs; the whole object underlined says nothing.
        let start = node.span().start;
        flaw.place.span = node.key().map_or(start..start + 1, Node::span);
    }
    flaw.found = found(node, error);
    flaw.help = describe(schema, error);
    vec![flaw]
}

fn unexpected_property(object: Node<'_>, rule: &str, name: &str, known: &[&str]) -> Flaw {
    let key = object.members().map(|it| it.0).find(|key| key.is(name)).unwrap_or(object);
    let message = format!("{} should NOT have additional properties", data_path(object));
    let flaw =
        Flaw::error(rule.to_owned(), key, message).found(format!("property '{name}' is not known here"));
    match nearest(name, known) {
        Some(nearest) => flaw.help(format!("did you mean '{nearest}'?")),
        None => flaw.help(format!("remove it; the properties known here are {}", known.join(", "))),
    }
}

/// Writes where a value stands as the documentation does: `data.artifact.sha256`, seen from its entry.
pub(crate) fn data_path(node: Node<'_>) -> String {
    let pointer = node.pointer();
    let of_entry = pointer.starts_with("/models/");
    let tokens = pointer.split('/').skip(if of_entry { 3 } else { 1 });
    tokens.fold("data".to_owned(), |path, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        let plain = token.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '$'));
        match token.parse::<usize>() {
            Ok(at) => format!("{path}[{at}]"),
            Err(_) if plain => format!("{path}.{token}"),
            Err(_) => format!("{path}['{token}']"),
        }
    })
}

fn requirement(error: &ValidationError<'_>) -> String {
    match error.kind() {
        Broken::Required { property } => {
            format!("should have required property '{}'", property.as_str().unwrap_or_default())
        }
        Broken::Pattern { pattern } => format!("should match pattern \"{pattern}\""),
        Broken::Format { format } => format!("should match format \"{format}\""),
        Broken::Enum { .. } => "should be equal to one of the allowed values".to_owned(),
        Broken::Constant { .. } => "should be equal to constant".to_owned(),
        Broken::Minimum { limit } => format!("should be >= {limit}"),
        Broken::Maximum { limit } => format!("should be <= {limit}"),
        Broken::ExclusiveMinimum { limit } => format!("should be > {limit}"),
        Broken::ExclusiveMaximum { limit } => format!("should be < {limit}"),
        Broken::MultipleOf { multiple_of } => format!("should be multiple of {multiple_of}"),
        Broken::MinLength { limit } => format!("should NOT be shorter than {limit} characters"),
        Broken::MaxLength { limit } => format!("should NOT be longer than {limit} characters"),
        Broken::MinItems { limit } => format!("should NOT have fewer than {limit} items"),
        Broken::MaxItems { limit } => format!("should NOT have more than {limit} items"),
        Broken::MinProperties { limit } => format!("should NOT have fewer than {limit} properties"),
        Broken::MaxProperties { limit } => format!("should NOT have more than {limit} properties"),
        Broken::UniqueItems => "should NOT have duplicate items".to_owned(),
        Broken::Type { kind } => format!("should be {}", types(kind)),
        Broken::FalseSchema => "is forbidden by the schema".to_owned(),
        other => format!("breaks the schema's rule \"{}\"", other.keyword()),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(set) => set.iter().map(|it| it.to_string()).collect::<Vec<_>>().join(","),
    }
}

fn found(node: Node<'_>, error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        Broken::Required { .. } => None,
        Broken::Enum { options } => {
            let known =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
            Some(match node.as_str().and_then(|it| nearest(&it, &known)) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("the allowed values are {}", known.join(", ")),
            })
        }
        Broken::UniqueItems => {
            let elements = node.elements().collect::<Vec<_>>();
            elements.iter().enumerate().find_map(|(at, it)| {
                let first = elements[..at].iter().position(|other| other.source() == it.source())?;
                Some(format!("items ## {at} and {first} are identical: {}", it.source()))
            })
        }
        Broken::Pattern { pattern } if pattern == "^[a-f0-9]{64}$" => {
            Sha256::parse(&node.as_str()?).err().map(|it| it.to_string())
        }
        Broken::Pattern { pattern } if pattern == "^[a-f0-9]{40}$" => {
            CommitId::parse(&node.as_str()?).err().map(|it| it.to_string())
        }
        Broken::Pattern { .. } | Broken::MinLength { .. } | Broken::MaxLength { .. } => {
            let length = node.as_str()?.chars().count();
            Some(format!("found {length} character{}", if length == 1 { "" } else { "s" }))
        }
        _ => Some(format!("found {}", in_words(node))),
    }
}

fn in_words(node: Node<'_>) -> String {
    match node.kind() {
        Kind::Object => "an object".to_owned(),
        Kind::Array => "an array".to_owned(),
        Kind::String | Kind::Escaped if node.source().len() > 40 => "this string".to_owned(),
        Kind::String | Kind::Escaped => format!("the string {}", node.source()),
        _ => node.source().chars().take(40).collect(),
    }
}

/// Returns the name that was probably meant.
pub(crate) fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    // Nobody misspells a name of a thousand letters, and the distance takes their product.
    if name.len() > 100 {
        return None;
    }
    let distance = |it: &str| strsim::damerau_levenshtein(&it.to_lowercase(), &name.to_lowercase());
    let distances = known.iter().map(|it| (distance(it), *it));
    distances.min().filter(|(distance, _)| *distance <= 1 + name.chars().count() / 4).map(|it| it.1)
}

/// Returns what the schema says about the place, or about the property that is missing.
fn describe(schema: &Value, error: &ValidationError<'_>) -> Option<String> {
    let holder = holder(schema, error)?;
    let described = match error.kind() {
        Broken::Required { property } => &holder["properties"][property.as_str()?],
        _ => holder,
    };
    described["description"].as_str().map(str::to_owned)
}

fn known_properties<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Vec<&'s str> {
    let properties = holder(schema, error).and_then(|it| it["properties"].as_object());
    properties.into_iter().flatten().map(|it| it.0.as_str()).collect()
}

/// Returns the schema that holds the keyword which was broken.
fn holder<'s>(schema: &'s Value, error: &ValidationError<'_>) -> Option<&'s Value> {
    let path = error.schema_path().as_str();
    schema.pointer(path.rsplit_once('/').map_or("", |it| it.0))
}

fn follow<'d, 's>(node: Node<'d>, mut path: impl Iterator<Item = LocationSegment<'s>>) -> Option<Node<'d>> {
    path.try_fold(node, |node, segment| match segment {
        LocationSegment::Property(name) => node.get(&name),
        LocationSegment::Index(at) => node.elements().nth(at),
    })
}
