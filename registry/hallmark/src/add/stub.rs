//! Placeholders: what stands where a fact is missing, so that nobody takes it for one.

use catalog::schema::{Field, Form};
use serde_json::{Value, json};

/// The mark that keeps an entry from being deployed.
const MARK: &str = "TODO-STUB";

/// Returns a placeholder for a field. There is none for a number, a list or a choice: whatever would be written there
/// could be the real value.
pub(super) fn placeholder(field: &Field) -> Option<Value> {
    let name = field.name();
    let dashed = name.replace('.', "-");
    match (name.as_str(), field.form) {
        ("license", _) => Some(format!("LicenseRef-{MARK}-license").into()),
        ("provenance.metrics", _) => Some(json!({ "status": format!("{MARK}-metrics") })),
        ("dataset.url" | "training.repo", _) => Some(format!("{MARK}-{dashed}:unknown").into()),
        (_, Form::Text) if field.choices.is_empty() => Some(format!("{MARK}-{dashed}").into()),
        _ => None,
    }
}
