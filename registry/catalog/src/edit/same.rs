//! Whether a value of a text says the same as one in memory, however it is written.

use serde_json::{Number, Value};

use crate::document::{Kind, Node};

pub(super) fn same(node: Node<'_>, value: &Value) -> bool {
    match (node.kind(), value) {
        (Kind::Null, Value::Null) | (Kind::True, Value::Bool(true)) | (Kind::False, Value::Bool(false)) => {
            true
        }
        (Kind::Number, Value::Number(number)) => same_number(node.as_number().unwrap_or_default(), number),
        (Kind::String | Kind::Escaped, Value::String(text)) => node.is(text),
        (Kind::Array, Value::Array(list)) => {
            node.elements().count() == list.len()
                && node.elements().zip(list).all(|(one, other)| same(one, other))
        }
        (Kind::Object, Value::Object(object)) => {
            let equal = |(key, value): (Node<'_>, Node<'_>)| {
                let other = key.as_str().and_then(|it| object.get(it.as_ref()));
                other.is_some_and(|other| same(value, other))
            };
            node.members().count() == object.len() && node.members().all(equal)
        }
        _ => false,
    }
}

/// Whole numbers are compared as such, so that two seeds beyond 2^53 are not taken for one another.
fn same_number(written: &str, number: &Number) -> bool {
    match (written.parse::<i128>(), number.as_i128()) {
        (Ok(one), Some(other)) => one == other,
        // A whole number that fits nothing else was read as a double.
        _ => written.parse::<f64>().ok() == number.as_f64(),
    }
}
