//! What changed between two indexes.

use std::sync::Arc;

use base::ModelId;
use serde::Serialize;
use serde_json::Value;

use crate::index::{Index, Listed};

/// The difference between two indexes, ids in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Entries that are new.
    pub added: Vec<ModelId>,
    /// Entries that are gone.
    pub removed: Vec<ModelId>,
    /// Entries that say something else now.
    pub revised: Vec<Revised>,
}

/// An entry that says something else now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revised {
    /// Which one.
    pub id: ModelId,
    /// What changed in it.
    pub fields: Vec<FieldChange>,
}

/// A value in an entry that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Where, as a JSON pointer inside the entry.
    pub pointer: String,
    /// What it was, if it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What it is, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

impl Changes {
    /// Says whether the two indexes say the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.revised.is_empty()
    }
}

/// Compares two indexes. Order and spacing do not count; values do.
pub fn diff(old: &Index, new: &Index) -> Changes {
    let mut changes = Changes::default();
    let (before, after) = differing(old.listed(), new.listed());
    for listed in after {
        let id = &listed.entry.id;
        match old.source(id).zip(new.source(id)) {
            None => changes.added.push(id.clone()),
            Some((before, after)) => {
                let fields = fields(before, after);
                if !fields.is_empty() {
                    changes.revised.push(Revised { id: id.clone(), fields });
                }
            }
        }
    }
    let gone = before.iter().map(|it| &it.entry.id).filter(|id| new.entry(id).is_none());
    changes.removed = gone.cloned().collect();
    changes.added.sort_unstable();
    changes.removed.sort_unstable();
    changes.revised.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    changes
}

/// Leaves out the entries at both ends that were taken over from one index into the other. No id of theirs stands
/// anywhere else.
fn differing<'i>(old: &'i [Arc<Listed>], new: &'i [Arc<Listed>]) -> (&'i [Arc<Listed>], &'i [Arc<Listed>]) {
    let same = |(one, other): &(&Arc<Listed>, &Arc<Listed>)| Arc::ptr_eq(one, other);
    let head = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    (&old[..old.len() - tail], &new[..new.len() - tail])
}

fn fields(before: &str, after: &str) -> Vec<FieldChange> {
    if before == after {
        return Vec::new();
    }
    let parse = |text| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut found = Vec::new();
    compare(&mut String::new(), &parse(before), &parse(after), &mut found);
    found
}

fn compare(pointer: &mut String, old: &Value, new: &Value, found: &mut Vec<FieldChange>) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        if old != new {
            let (old, new) = (Some(old.clone()), Some(new.clone()));
            found.push(FieldChange { pointer: pointer.clone(), old, new });
        }
        return;
    };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => compare(pointer, old, new, found),
            (old, new) => {
                let (old, new) = (old.cloned(), new.cloned());
                found.push(FieldChange { pointer: pointer.clone(), old, new });
            }
        }
        pointer.truncate(length);
    }
}
